import { describe, expect, it } from 'vitest';
import { settle } from '../../fake-time.fixture.ts';
import type { KvEntry } from '../bus.ts';
import { busContract } from '../bus-contract.ts';
import { InProcessBus, type OpenBucket } from './in-process-bus.ts';
import { InProcessKeyValue } from './in-process-kv.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('InProcessBus', () => {
  /** A bus, and what it has delivered and reported. */
  function bus(openBucket?: OpenBucket) {
    const said: string[] = [];
    const onError = (error: unknown, where: string) => void said.push(`${where}: ${(error as Error).message}`);
    const made = new InProcessBus({ onError, ...(openBucket && { openBucket }) });
    const subscribe = (pattern: string) =>
      made.subscribe(pattern, (subject, data) => void said.push(`${pattern} ${subject} ${Buffer.from(data)}`));
    return { made, said, subscribe };
  }

  it('hands the bytes on without a copy', async () => {
    const { made } = bus();
    const data = new Uint8Array([1]);
    const got: Uint8Array[] = [];
    made.subscribe('a', (_, bytes) => got.push(bytes));
    made.publish('a', data);
    expect(got).toEqual([]);
    await settle();
    expect(got[0]).toBe(data);
  });

  it('delivers to those who had subscribed before, and are subscribed still', async () => {
    const { made, said, subscribe } = bus();
    const [gone, other, wild] = [subscribe('a.b'), subscribe('a.b'), subscribe('a.*')];
    made.publish('a.b', encode('1'));
    made.publish('c', encode('none'));
    subscribe('a.b');
    subscribe('a.>');
    gone.unsubscribe();
    await settle();
    expect(said.splice(0)).toEqual(['a.b a.b 1', 'a.* a.b 1']);
    made.publish('a.b', encode('2'));
    await settle();
    expect(said.splice(0)).toEqual(['a.b a.b 2', 'a.b a.b 2', 'a.* a.b 2', 'a.> a.b 2']);
    other.unsubscribe();
    wild.unsubscribe();
    made.publish('a.b', encode('3'));
    made.publish('a.c', encode('4'));
    await settle();
    expect(said).toEqual(['a.b a.b 3', 'a.> a.b 3', 'a.> a.c 4']);
  });

  it('does not lose who subscribed again after the last one had ended, when that one is ended once more', async () => {
    const { made, said, subscribe } = bus();
    const first = subscribe('a');
    first.unsubscribe();
    subscribe('a');
    first.unsubscribe();
    made.publish('a', encode('1'));
    await settle();
    expect(said).toEqual(['a a 1']);
  });

  it('reports what a subscriber throws, and goes on', async () => {
    const { made, said, subscribe } = bus();
    made.subscribe('a', () => {
      throw new Error('trouble');
    });
    subscribe('a');
    made.publish('a', encode('1'));
    await settle();
    expect(said).toEqual(['a: trouble', 'a a 1']);
  });

  it('delivers nothing once it is closed, and closes its buckets', async () => {
    const { made, said, subscribe } = bus();
    subscribe('a');
    subscribe('>');
    const kv = await made.kv('b');
    made.publish('a', encode('1'));
    await made.close();
    await settle();
    expect(said).toEqual([]);
    await expect(kv.keys()).rejects.toMatchObject({ code: 'closed' });
    for (const use of [() => made.publish('a', encode('')), () => made.subscribe('a', () => {})]) {
      expect(use).toThrow(expect.objectContaining({ code: 'closed', message: 'the bus is closed' }));
    }
    await expect(made.kv('b')).rejects.toMatchObject({ code: 'closed' });
  });

  it('delivers nothing to the next subscriber when one closes it', async () => {
    const { made, said, subscribe } = bus();
    made.subscribe('a', () => void made.close());
    subscribe('a');
    made.publish('a', encode('1'));
    await settle();
    expect(said).toEqual([]);
  });

  it('opens a bucket once, and once more if it could not be opened', async () => {
    const opening: PromiseWithResolvers<InProcessKeyValue>[] = [];
    const { made } = bus((bucket) => {
      if (bucket !== 'b') return null;
      opening.push(Promise.withResolvers());
      return opening.at(-1)?.promise ?? null;
    });
    expect(await made.kv('memory')).toBe(await made.kv('memory'));
    const [one, two] = [made.kv('b'), made.kv('b')];
    const refused = Promise.all([expect(one).rejects.toThrow('no disk'), expect(two).rejects.toThrow('no disk')]);
    await settle();
    expect(opening).toHaveLength(1);
    opening[0]?.reject(new Error('no disk'));
    await refused;
    const again = made.kv('b');
    await settle();
    expect(opening).toHaveLength(2);
    // It is closed as soon as it is open.
    const closed = made.close();
    const late = new InProcessKeyValue({ onError: () => {} });
    opening[1]?.resolve(late);
    await closed;
    expect(await again).toBe(late);
    await expect(late.keys()).rejects.toMatchObject({ code: 'closed' });
  });

  it('is closed even if a bucket cannot be opened', async () => {
    const { made } = bus(() => Promise.reject(new Error('no disk')));
    const refused = expect(made.kv('b')).rejects.toThrow('no disk');
    await made.close();
    await refused;
    await expect(bus().made.kv('a.b')).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('InProcessKeyValue', () => {
  function bucket() {
    const seen: string[] = [];
    const kv = new InProcessKeyValue({
      onError: (error, key) => void seen.push(`${key}: ${(error as Error).message}`),
    });
    const see =
      (who: string) =>
      ({ key, value, revision }: KvEntry) =>
        void seen.push(`${who} ${key}=${value === null ? '-' : Buffer.from(value)} ${revision}`);
    return { kv, seen, see };
  }

  it('gives each change a revision, and tells watchers of it in order, but not inside the call', async () => {
    const { kv, seen, see } = bucket();
    await kv.put('a', encode('1'));
    await kv.put('gone', encode('x'));
    await kv.delete('gone');
    await kv.watch(see('all'));
    await kv.watch(see('a'), 'a');
    expect(seen.splice(0)).toEqual(['all a=1 1', 'a a=1 1']);
    const put = kv.put('a', encode('2'));
    expect(seen).toEqual([]);
    expect(await put).toBe(4);
    await kv.delete('a');
    await kv.delete('a');
    expect(await kv.create('gone', encode('y'))).toBe(6);
    await settle();
    expect(seen).toEqual(['all a=2 4', 'a a=2 4', 'all a=- 5', 'a a=- 5', 'all gone=y 6']);
    expect([kv.revision, [...kv.entries()].length, await kv.keys()]).toEqual([6, 2, ['gone']]);
  });

  it('refuses a change that is not over the last one, and says at which revision the key is', async () => {
    const { kv } = bucket();
    await kv.put('a', encode('1'));
    await expect(kv.create('a', encode('2'))).rejects.toMatchObject({
      code: 'conflict',
      message: 'a exists at revision 1',
    });
    for (const change of [kv.update('a', encode('2'), 2), kv.delete('a', 2)]) {
      await expect(change).rejects.toMatchObject({ code: 'conflict', message: 'a is at revision 1, not 2' });
    }
    await expect(kv.update('b', encode('2'), 1)).rejects.toThrow('b is at revision 0, not 1');
    expect(await kv.update('b', encode('2'), 0)).toBe(2);
  });

  it('tries a change on a draft, which has its content and revision, and no watchers', async () => {
    const { kv, seen, see } = bucket();
    await kv.put('a', encode('1'));
    await kv.watch(see('all'));
    seen.length = 0;
    const draft = kv.draft();
    expect(await draft.put('b', encode('2'))).toBe(2);
    expect(await draft.keys()).toEqual(['a', 'b']);
    await settle();
    expect([seen, await kv.keys(), kv.revision]).toEqual([[], ['a'], 1]);
  });

  it('drops what a watcher had still to be told when it ends, or the bucket is closed', async () => {
    const { kv, seen, see } = bucket();
    const watch = await kv.watch(see('one'));
    await kv.watch(see('two'));
    const first = kv.put('a', encode('1'));
    watch.unsubscribe();
    await first;
    await settle();
    expect(seen.splice(0)).toEqual(['two a=1 1']);
    const second = kv.put('a', encode('2'));
    kv.close();
    await second;
    await settle();
    expect(seen).toEqual([]);
    const uses = (key: string) => [
      kv.get(key),
      kv.put(key, encode('')),
      kv.create(key, encode('')),
      kv.update(key, encode(''), 2),
      kv.delete(key),
    ];
    for (const use of [...uses('a'), kv.keys(), kv.watch(() => {})]) {
      await expect(use).rejects.toMatchObject({ code: 'closed', message: 'the bus is closed' });
    }
    expect(() => kv.draft()).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  it('refuses keys that JetStream would not take', async () => {
    const { kv } = bucket();
    for (const use of [
      kv.get('a b'),
      kv.put('a b', encode('')),
      kv.create('a b', encode('')),
      kv.update('a b', encode(''), 0),
      kv.delete('a b'),
      kv.watch(() => {}, 'a b'),
    ]) {
      await expect(use).rejects.toMatchObject({ code: 'invalid' });
    }
    expect(kv.revision).toBe(0);
  });

  it('reports what a watcher throws, with the key, and goes on', async () => {
    const { kv, seen, see } = bucket();
    await kv.watch(() => {
      throw new Error('trouble');
    });
    await kv.watch(see('two'));
    await kv.put('a', encode('1'));
    await settle();
    expect(seen).toEqual(['a: trouble', 'two a=1 1']);
  });
});

busContract('InProcessBus', async (thrown) => new InProcessBus({ onError: thrown }));
