import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bus, BusError, type BusErrorCode, type KeyValue, type KvEntry, MAX_BUS_BYTES } from './bus.ts';

/** Collects what a subscriber receives, and lets a test await a number of messages instead of a time. */
class Received<T> {
  readonly all: T[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  readonly add = (item: T): void => {
    this.all.push(item);
    for (const waiter of this.#waiting.filter(({ count }) => this.all.length >= count)) {
      waiter.resolve();
    }
    this.#waiting = this.#waiting.filter(({ count }) => this.all.length < count);
  };

  until(count: number): Promise<T[]> {
    return new Promise((resolve) => {
      if (this.all.length >= count) {
        resolve(this.all);
      } else {
        this.#waiting.push({ count, resolve: () => resolve(this.all) });
      }
    });
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (data: Uint8Array | null): string | null => (data === null ? null : new TextDecoder().decode(data));
const shown = ({ key, value }: KvEntry): string => `${key}=${decode(value)}`;

async function codeOf(promise: Promise<unknown>): Promise<BusErrorCode | 'no error'> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    expect(error).toBeInstanceOf(BusError);
    return (error as BusError).code;
  }
}

/**
 * The tests that every Bus must pass; each implementation's test runs them. `make` opens a bus; names are unique for
 * each run, so it may be the same server every time. `thrown` is called (through the implementation's onError) with the
 * exceptions that subscribers throw.
 */
export function busContract(name: string, make: (thrown: (error: unknown) => void) => Promise<Bus>): void {
  describe(`${name}: messages`, () => {
    let bus: Bus;
    let thrown: unknown[];
    beforeEach(async () => {
      thrown = [];
      bus = await make((error) => thrown.push(error));
    });
    afterEach(() => bus.close());

    it('delivers to every subscriber of the subject, in order', async () => {
      const [a, b] = [new Received<string>(), new Received<string>()];
      bus.subscribe('t.one', (subject, data) => a.add(`${subject} ${decode(data)}`));
      bus.subscribe('t.one', (_, data) => b.add(decode(data)!));
      for (const text of ['1', '2', '3']) {
        bus.publish('t.one', encode(text));
      }
      expect(await a.until(3)).toEqual(['t.one 1', 't.one 2', 't.one 3']);
      expect(await b.until(3)).toEqual(['1', '2', '3']);
    });

    it('does not deliver inside publish', async () => {
      const got = new Received<string>();
      bus.subscribe('t.later', (subject) => got.add(subject));
      bus.publish('t.later', encode(''));
      expect(got.all).toEqual([]);
      await got.until(1);
    });

    it('carries bytes unchanged, and empty messages', async () => {
      const got = new Received<Uint8Array>();
      bus.subscribe('t.bytes', (_, data) => got.add(data));
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      bus.publish('t.bytes', bytes);
      bus.publish('t.bytes', new Uint8Array(0));
      const [first, second] = await got.until(2);
      expect([...first!]).toEqual([...bytes]);
      expect(second!.length).toBe(0);
    });

    it('delivers nothing published on other subjects, prefixes or longer ones', async () => {
      const got = new Received<string>();
      bus.subscribe('t.a.b', (subject) => got.add(subject));
      for (const subject of ['t.a', 't.a.b.c', 't.a.x', 't.a.B', 't.a.b']) {
        bus.publish(subject, encode(''));
      }
      expect(await got.until(1)).toEqual(['t.a.b']);
    });

    it('matches * with exactly one token and > with one or more', async () => {
      const [star, rest] = [new Received<string>(), new Received<string>()];
      bus.subscribe('t.*.end', (subject) => star.add(subject));
      bus.subscribe('t.>', (subject) => rest.add(subject));
      for (const subject of ['t', 't.end', 't.x.end', 't.x.y.end', 't.x.other', 't.last.end']) {
        bus.publish(subject, encode(''));
      }
      expect(await star.until(2)).toEqual(['t.x.end', 't.last.end']);
      expect(await rest.until(5)).toEqual(['t.end', 't.x.end', 't.x.y.end', 't.x.other', 't.last.end']);
    });

    it('gives a subscriber nothing that was published before it subscribed', async () => {
      const got = new Received<string>();
      bus.publish('t.early', encode('before'));
      bus.subscribe('t.early', (_, data) => got.add(decode(data)!));
      bus.publish('t.early', encode('after'));
      expect(await got.until(1)).toEqual(['after']);
    });

    it('delivers nothing after unsubscribe, not even what was published before', async () => {
      const [gone, stays] = [new Received<string>(), new Received<string>()];
      const subscription = bus.subscribe('t.gone', (subject) => gone.add(subject));
      bus.subscribe('t.gone', (subject) => stays.add(subject));
      bus.publish('t.gone', encode(''));
      subscription.unsubscribe();
      subscription.unsubscribe();
      await stays.until(1);
      expect(gone.all).toEqual([]);
    });

    it('keeps the exception of one subscriber from the others, and reports it', async () => {
      const got = new Received<string>();
      const trouble = new Error('trouble');
      bus.subscribe('t.throw', () => {
        throw trouble;
      });
      bus.subscribe('t.throw', (subject) => got.add(subject));
      bus.publish('t.throw', encode(''));
      bus.publish('t.throw', encode(''));
      await got.until(2);
      expect(thrown).toEqual([trouble, trouble]);
    });

    it('refuses bad subjects and too many bytes', () => {
      for (const subject of ['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', 'a.>']) {
        expect(() => bus.publish(subject, encode(''))).toThrow(BusError);
      }
      for (const pattern of ['', 'a..b', '>.a', 'a.b*', 'a b']) {
        expect(() => bus.subscribe(pattern, () => {})).toThrow(BusError);
      }
      expect(() => bus.publish('t.big', new Uint8Array(MAX_BUS_BYTES + 1))).toThrow(BusError);
    });

    it('answers closed once closed', async () => {
      const kv = await bus.kv(bucketName());
      await bus.close();
      expect(() => bus.publish('t.x', encode(''))).toThrow(BusError);
      expect(() => bus.subscribe('t.x', () => {})).toThrow(BusError);
      expect(await codeOf(bus.kv(bucketName()))).toBe('closed');
      // Whatever is wrong with the key besides.
      for (const key of ['k', 'no key']) {
        const calls = {
          get: () => kv.get(key),
          put: () => kv.put(key, encode('')),
          create: () => kv.create(key, encode('')),
          update: () => kv.update(key, encode(''), 1),
          delete: () => kv.delete(key),
          keys: () => kv.keys(),
          watch: () => kv.watch(() => {}, key),
        };
        for (const [call, make] of Object.entries(calls)) {
          expect([call, await codeOf(make())]).toEqual([call, 'closed']);
        }
      }
      await bus.close();
    });
  });

  describe(`${name}: key-value`, () => {
    let bus: Bus;
    let bucket: string;
    let kv: KeyValue;
    let thrown: unknown[];
    beforeEach(async () => {
      thrown = [];
      bus = await make((error) => thrown.push(error));
      bucket = bucketName();
      kv = await bus.kv(bucket);
    });
    afterEach(() => bus.close());

    it('gives what was put, with rising revisions', async () => {
      expect(await kv.get('k')).toBeNull();
      const first = await kv.put('k', encode('one'));
      const second = await kv.put('k', encode('two'));
      expect(second).toBeGreaterThan(first);
      const entry = await kv.get('k');
      expect([entry!.key, decode(entry!.value), entry!.revision]).toEqual(['k', 'two', second]);
    });

    it('is one store per bucket name', async () => {
      await kv.put('k', encode('x'));
      expect(decode((await (await bus.kv(bucket)).get('k'))!.value)).toBe('x');
      expect(await (await bus.kv(bucketName())).get('k')).toBeNull();
    });

    it('creates a key only if it has no value, also after a delete', async () => {
      await kv.create('k', encode('one'));
      expect(await codeOf(kv.create('k', encode('two')))).toBe('conflict');
      await kv.delete('k');
      await kv.create('k', encode('three'));
      expect(decode((await kv.get('k'))!.value)).toBe('three');
    });

    it('updates only over the revision named', async () => {
      const first = await kv.put('k', encode('one'));
      const second = await kv.update('k', encode('two'), first);
      expect(await codeOf(kv.update('k', encode('stale'), first))).toBe('conflict');
      expect(await codeOf(kv.update('k', encode('future'), second + 1))).toBe('conflict');
      expect(await codeOf(kv.update('missing', encode('x'), second))).toBe('conflict');
      expect(decode((await kv.get('k'))!.value)).toBe('two');
    });

    it('compares with the last change of the key, not of the bucket', async () => {
      const revision = await kv.put('k', encode('one'));
      await kv.put('other', encode('x'));
      await kv.update('k', encode('two'), revision);
      expect(decode((await kv.get('k'))!.value)).toBe('two');
    });

    it('lets one of several compare-and-sets win', async () => {
      const revision = await kv.put('k', encode('start'));
      const results = await Promise.all(['a', 'b', 'c'].map((v) => codeOf(kv.update('k', encode(v), revision))));
      expect(results.toSorted()).toEqual(['conflict', 'conflict', 'no error']);
    });

    it('deletes, with or without a revision', async () => {
      const first = await kv.put('k', encode('one'));
      const second = await kv.put('k', encode('two'));
      expect(await codeOf(kv.delete('k', first))).toBe('conflict');
      expect(await kv.get('k')).not.toBeNull();
      await kv.delete('k', second);
      expect(await kv.get('k')).toBeNull();
      await kv.delete('k');
      await kv.delete('never');
      expect(await codeOf(kv.update('k', encode('x'), second))).toBe('conflict');
    });

    it('lists the keys that have a value', async () => {
      expect(await kv.keys()).toEqual([]);
      for (const key of ['a', 'b.c', 'd/e_f=g-H']) {
        await kv.put(key, encode('x'));
      }
      await kv.delete('a');
      expect((await kv.keys()).toSorted()).toEqual(['b.c', 'd/e_f=g-H']);
    });

    it('refuses bad keys and too many bytes', async () => {
      for (const key of ['', '.a', 'a.', 'a..b', 'a b', 'a*', '>', 'ü']) {
        expect(await codeOf(kv.put(key, encode('x')))).toBe('invalid');
        expect(await codeOf(kv.get(key))).toBe('invalid');
      }
      expect(await codeOf(kv.put('k', new Uint8Array(MAX_BUS_BYTES + 1)))).toBe('invalid');
      expect(await codeOf(bus.kv('a.b'))).toBe('invalid');
    });

    it('watches: current values, resolved, then changes in order, deletes as null', async () => {
      await kv.put('a', encode('1'));
      await kv.put('gone', encode('x'));
      await kv.delete('gone');
      await kv.put('b', encode('2'));
      const got = new Received<string>();
      await kv.watch((entry) => got.add(shown(entry)));
      expect(got.all).toEqual(['a=1', 'b=2']);
      await kv.put('a', encode('3'));
      await kv.delete('b');
      await kv.put('c', encode('4'));
      expect(await got.until(5)).toEqual(['a=1', 'b=2', 'a=3', 'b=null', 'c=4']);
    });

    it('watches one key: its value, then its changes, and nothing of others', async () => {
      await kv.put('a', encode('1'));
      await kv.put('ab', encode('2'));
      const [got, none] = [new Received<string>(), new Received<string>()];
      await kv.watch((entry) => got.add(shown(entry)), 'a');
      await kv.watch((entry) => none.add(shown(entry)), 'none');
      expect([got.all, none.all]).toEqual([['a=1'], []]);
      await kv.put('ab', encode('3'));
      await kv.put('a', encode('4'));
      await kv.put('none', encode('5'));
      await kv.delete('a');
      expect(await got.until(3)).toEqual(['a=1', 'a=4', 'a=null']);
      expect(await none.until(1)).toEqual(['none=5']);
      expect(await codeOf(kv.watch(() => {}, 'a b'))).toBe('invalid');
    });

    it('watches with the revisions that get and compare-and-set use', async () => {
      const got = new Received<KvEntry>();
      await kv.watch(got.add);
      const revision = await kv.put('k', encode('x'));
      const [entry] = await got.until(1);
      expect(entry!.revision).toBe(revision);
      await kv.update('k', encode('y'), entry!.revision);
    });

    it('loses no change that is made while a watch begins', async () => {
      await kv.put('k', encode('0'));
      const got = new Received<string>();
      const began = kv.watch((entry) => got.add(decode(entry.value)!));
      const last = kv.put('k', encode('1'));
      await Promise.all([began, last]);
      await kv.put('k', encode('end'));
      while (got.all.at(-1) !== 'end') {
        await got.until(got.all.length + 1);
      }
      expect(['0,1,end', '1,end']).toContain(got.all.join());
    });

    it('delivers nothing to a watch that ended', async () => {
      const [gone, stays] = [new Received<string>(), new Received<string>()];
      const watch = await kv.watch((entry) => gone.add(shown(entry)));
      await kv.watch((entry) => stays.add(shown(entry)));
      watch.unsubscribe();
      watch.unsubscribe();
      await kv.put('k', encode('x'));
      await stays.until(1);
      expect(gone.all).toEqual([]);
    });

    it('keeps the exception of one watcher from the others, and reports it', async () => {
      const got = new Received<string>();
      const trouble = new Error('trouble');
      const thrower = Promise.withResolvers<void>();
      await kv.watch(() => {
        thrower.resolve();
        throw trouble;
      });
      await kv.watch((entry) => got.add(shown(entry)));
      await kv.put('k', encode('x'));
      // Watchers are called one after the other, in any order.
      await Promise.all([got.until(1), thrower.promise]);
      expect(thrown).toEqual([trouble]);
    });
  });
}

let buckets = 0;
/** The name of a bucket that no earlier run has left on the server. */
function bucketName(): string {
  return `contract-${Date.now().toString(36)}-${process.pid}-${buckets++}`;
}
