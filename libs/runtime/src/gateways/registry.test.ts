import { beforeEach, describe, expect, it } from 'vitest';
import { type Fate, FaultyKv } from '../bus/in-process/faulty-kv.ts';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import { FakeClock } from '../fake-clock.ts';
import { advance, settle } from '../fake-time.fixture.ts';
import { type GatewayRecord, GatewayRegistration, GatewayRegistry } from './registry.ts';

// Written once more: a change of them must be noticed.
const REGISTRATION_LOOK_MS = 2000;
const REGISTRATION_RETRY_MS = 1000;

const gw1: GatewayRecord = {
  name: 'gw1',
  boot: 'b1',
  firstBoot: 'b1',
  serviceAddress: '10.0.0.1:9988',
  version: '0.1.0',
  draining: false,
};
const gw2: GatewayRecord = {
  name: 'gw2',
  boot: 'b2',
  firstBoot: 'b2',
  serviceAddress: '10.0.0.2:9988',
  version: '0.1.0',
  draining: false,
};

describe('a gateway', () => {
  let clock: FakeClock;
  let kv: InProcessKeyValue;
  beforeEach(() => {
    clock = new FakeClock();
    kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
  });
  const entry = async (): Promise<unknown> => {
    const value = (await kv.get('gw1'))?.value;
    return value == null ? null : JSON.parse(new TextDecoder().decode(value));
  };

  it('writes its entry again when that is deleted, under its id of that time', async () => {
    let boot = 'b1';
    await new GatewayRegistration(() => ({ ...gw1, boot }), { kv, clock }).start();
    await settle();
    await kv.delete('gw1');
    boot = 'b2';
    await advance(clock, REGISTRATION_LOOK_MS);
    expect(await entry()).toEqual({ ...gw1, boot: 'b2' });
  });

  describe('in a store that was rolled back to the entry of its former boot', () => {
    let fate: Fate = { kind: 'ok' };
    beforeEach(async () => {
      fate = { kind: 'ok' };
      await new GatewayRegistration(() => gw1, { kv: new FaultyKv(kv, { clock, next: () => fate }), clock }).start();
      await settle();
      await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b0' })));
    });

    it('writes its entry again when that one is deleted', async () => {
      await advance(clock, 2 * REGISTRATION_LOOK_MS);
      expect(await entry()).toMatchObject({ boot: 'b0' });
      await kv.delete('gw1');
      await advance(clock, REGISTRATION_LOOK_MS);
      expect(await entry()).toEqual(gw1);
    });

    it('retries until the store answers, and leaves an existing entry of its own alone', async () => {
      fate = { kind: 'fail' };
      await kv.delete('gw1');
      await advance(clock, 5 * REGISTRATION_LOOK_MS);
      expect(await entry()).toBeNull();
      await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b9' })));
      fate = { kind: 'ok' };
      await advance(clock, 5 * REGISTRATION_LOOK_MS);
      expect(await entry()).toMatchObject({ boot: 'b9' });
    });
  });

  it('replaces the other boot’s entry when a leader accepts it before it has seen that entry', async () => {
    const mine = new GatewayRegistration(() => gw1, { kv, clock });
    await mine.start();
    await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b2' })));
    mine.renew();
    await settle();
    expect(await entry()).toMatchObject({ boot: 'b1' });
  });

  it('leaves the entry of another boot alone until a leader accepts this boot', async () => {
    const mine = new GatewayRegistration(() => gw1, { kv, clock });
    await mine.start();
    await new GatewayRegistration(() => ({ ...gw1, boot: 'b2' }), { kv, clock }).start();
    await advance(clock, 10_000);
    expect(await entry()).toMatchObject({ boot: 'b2' });
    mine.renew();
    await settle();
    expect(await entry()).toMatchObject({ boot: 'b1' });
  });

  it('writes nothing when a leader accepts it and its entry is there', async () => {
    const mine = new GatewayRegistration(() => gw1, { kv, clock });
    await mine.start();
    await settle();
    mine.renew();
    await settle();
    expect((await kv.get('gw1'))?.revision).toBe(1);
  });

  it('writes into its entry that it drains, and a new id', async () => {
    let boot = 'b1';
    const mine = new GatewayRegistration(() => ({ ...gw1, boot }), { kv, clock });
    await mine.start();
    boot = 'b2';
    mine.drain();
    await settle();
    expect(await entry()).toEqual({ ...gw1, boot: 'b2', draining: true });
  });

  it('retries while the store is away', async () => {
    let fate: Fate = { kind: 'fail' };
    const away = new FaultyKv(kv, { clock, next: () => fate });
    const mine = new GatewayRegistration(() => gw1, { kv: away, clock });
    await mine.start();
    await advance(clock, 3 * REGISTRATION_RETRY_MS);
    expect([await entry(), mine.failures]).toEqual([null, 4]);
    fate = { kind: 'ok' };
    await advance(clock, REGISTRATION_RETRY_MS);
    expect([await entry(), mine.failures]).toEqual([gw1, 0]);
  });
});

/** A bucket that counts what it is asked, and answers when the test lets it. */
class FakeStore extends InProcessKeyValue {
  readonly asked: string[] = [];
  answers: Promise<unknown> = Promise.resolve();
  isAway = false;

  override get(key: string) {
    return this.#answer('get', () => super.get(key));
  }

  override put(key: string, value: Uint8Array) {
    return this.#answer('put', () => super.put(key, value));
  }

  override delete(key: string, revision?: number) {
    return this.#answer(`delete ${revision}`, () => super.delete(key, revision));
  }

  async #answer<T>(what: string, call: () => Promise<T>): Promise<T> {
    this.asked.push(what);
    await this.answers;
    if (this.isAway) throw new Error('away');
    return call();
  }
}

describe('the entry of a gateway', () => {
  let clock: FakeClock;
  let kv: FakeStore;
  let boot: string;
  let mine: GatewayRegistration;
  beforeEach(() => {
    clock = new FakeClock();
    kv = new FakeStore({ onError: (error) => expect.unreachable(String(error)) });
    boot = 'b1';
    mine = new GatewayRegistration(() => ({ ...gw1, boot }), { kv, clock });
  });

  it('is written at the start, which waits for that, and looked at every two seconds; a failure after one', async () => {
    const answer = Promise.withResolvers<void>();
    kv.answers = answer.promise;
    let isStarted = false;
    const started = Promise.all([mine.start(), mine.start()]).then(() => {
      isStarted = true;
    });
    await settle();
    expect([isStarted, clock.pending]).toEqual([false, 0]);
    answer.resolve();
    await started;
    expect([kv.asked, clock.pending, clock.nextAt()]).toEqual([['put'], 1, 2000]);
    kv.isAway = true;
    await advance(clock, 2000);
    expect([kv.asked, clock.pending, clock.nextAt()]).toEqual([['put', 'get'], 1, 3000]);
  });

  it('is not written before the start and after the stop, which deletes it once', async () => {
    mine.renew();
    mine.drain();
    await mine.stop();
    expect(kv.asked).toEqual([]);
    await mine.start();
    await mine.stop();
    await mine.stop();
    mine.renew();
    await advance(clock, 10_000);
    expect([kv.asked, clock.pending, await kv.keys()]).toEqual([['put', 'delete 1'], 0, []]);
  });

  it('is not deleted at the stop if it was never written', async () => {
    kv.isAway = true;
    await mine.start();
    await mine.stop();
    expect([kv.asked, mine.failures]).toEqual([['put'], 1]);
  });

  it('is deleted at the stop when its write has ended; the store may be away then', async () => {
    const answer = Promise.withResolvers<void>();
    kv.answers = answer.promise;
    void mine.start();
    const stopped = mine.stop();
    await settle();
    expect(kv.asked).toEqual(['put']);
    answer.resolve();
    await stopped;
    expect([kv.asked, await kv.keys(), clock.pending]).toEqual([['put', 'delete 1'], [], 0]);
    const other = new GatewayRegistration(() => gw1, { kv, clock });
    await other.start();
    kv.isAway = true;
    await other.stop();
    expect(await kv.keys()).toEqual(['gw1']);
  });

  it('is renewed after the write under way, with its content of that time, and then looked at as before', async () => {
    await mine.start();
    const answer = Promise.withResolvers<void>();
    kv.answers = answer.promise;
    boot = 'b2';
    mine.renew();
    boot = 'b3';
    mine.renew();
    await settle();
    expect(kv.asked).toEqual(['put', 'put']);
    answer.resolve();
    await settle();
    await settle();
    expect(kv.asked).toEqual(['put', 'put', 'put']);
    expect(JSON.parse(Buffer.from((await kv.get('gw1'))?.value ?? []).toString())).toMatchObject({ boot: 'b3' });
    expect(clock.pending).toBe(1);
  });

  it('is not written again by a look that ends after the stop', async () => {
    await mine.start();
    const answer = Promise.withResolvers<void>();
    kv.answers = answer.promise;
    clock.advance(2000);
    const stopped = mine.stop();
    kv.isAway = false;
    await InProcessKeyValue.prototype.delete.call(kv, 'gw1');
    answer.resolve();
    await stopped;
    expect([kv.asked, await kv.keys(), clock.pending]).toEqual([['put', 'get', 'delete 1'], [], 0]);
  });

  it('is deleted at its revision in a store that was rolled back and counts anew', async () => {
    await mine.start();
    const { value } = (await kv.get('gw1')) ?? {};
    for (let n = 0; n < 3; n++) await kv.put('gw1', value ?? new Uint8Array());
    await advance(clock, 2000);
    await mine.stop();
    expect([kv.asked.at(-1), await kv.keys()]).toEqual(['delete 4', []]);
  });

  it('of another boot may be replaced only until an entry of our own was read', async () => {
    await mine.start();
    mine.renew();
    await settle();
    await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b9' })));
    await advance(clock, 2 * REGISTRATION_LOOK_MS);
    expect(JSON.parse(Buffer.from((await kv.get('gw1'))?.value ?? []).toString())).toMatchObject({ boot: 'b9' });
  });
});

describe('gateway registry', () => {
  let clock: FakeClock;
  let kv: InProcessKeyValue;
  let registry: GatewayRegistry;
  let changes: string[][];
  beforeEach(() => {
    clock = new FakeClock();
    kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
    registry = new GatewayRegistry({ kv, clock });
    changes = [];
    registry.onChange(() => changes.push(names()));
  });

  const register = (record: GatewayRecord): GatewayRegistration => new GatewayRegistration(() => record, { kv, clock });

  const names = (): string[] =>
    registry
      .gateways()
      .map(({ name, boot }) => `${name}/${boot}`)
      .toSorted();

  it('knows the gateways present at its start, and later ones', async () => {
    await register(gw1).start();
    await registry.start();
    expect(registry.gateways()).toEqual([gw1]);
    await register(gw2).start();
    await settle();
    expect(registry.get('gw2')).toEqual(gw2);
    expect(registry.get('gw3')).toBeNull();
  });

  it('takes the boot id of a record without a first one for the first', async () => {
    await registry.start();
    const { firstBoot: _, ...earlier } = gw1;
    await kv.put('gw1', new TextEncoder().encode(JSON.stringify(earlier)));
    await settle();
    expect(registry.get('gw1')).toEqual(gw1);
  });

  it('keeps a gateway that writes nothing more, as long as its entry stays', async () => {
    await registry.start();
    await register(gw1).start();
    await advance(clock, 3_600_000);
    expect(names()).toEqual(['gw1/b1']);
    expect((await kv.get('gw1'))?.revision).toBe(1);
    expect(changes).toEqual([[], ['gw1/b1']]);
  });

  it('is complete once everything has been read', async () => {
    expect(registry.isComplete).toBe(false);
    await registry.start();
    expect(registry.isComplete).toBe(true);
  });

  it('deletes the entry of a dead gateway, and not that of another boot', async () => {
    const first = register(gw1);
    await first.start();
    await registry.start();
    await registry.remove('gw1', 'b0');
    expect((await kv.get('gw1'))?.value).not.toBeNull();
    await registry.remove('gw1', 'b1');
    expect(await kv.keys()).toEqual([]);
  });

  it('notices a stop at once', async () => {
    await registry.start();
    const registration = register(gw1);
    await registration.start();
    await advance(clock, 1500);
    await registration.stop();
    await settle();
    expect(changes).toEqual([[], ['gw1/b1'], []]);
    await advance(clock, 5000);
    expect(await kv.keys()).toEqual([]);
  });

  it('reports a new boot of the same name, whose entry the old boot does not delete', async () => {
    await registry.start();
    const old = register(gw1);
    await old.start();
    const next = register({ ...gw1, boot: 'b9' });
    await next.start();
    await old.stop();
    await settle();
    expect(changes).toEqual([[], ['gw1/b1'], ['gw1/b9']]);
    expect(names()).toEqual(['gw1/b9']);
  });

  it('ignores entries that are no records of their key', async () => {
    await registry.start();
    const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    await kv.put('other', encode(gw1));
    await kv.put('gw1', encode({ ...gw1, boot: 7 }));
    await kv.put('gw2', new Uint8Array([0xff]));
    await settle();
    expect(names()).toEqual([]);
    expect(changes).toEqual([[]]);
  });

  // Limits: gateways/registry.ts MAX_GATEWAYS
  it('keeps a limited number of gateways, and follows the changes of those', async () => {
    const entries = Array.from({ length: 4097 }, (_, i) => ({ ...gw1, name: `gw-${i}` }));
    const put = (record: GatewayRecord) => kv.put(record.name, new TextEncoder().encode(JSON.stringify(record)));
    for (const record of entries) await put(record);
    // The list is not sorted at each change.
    const large = new GatewayRegistry({ kv, clock });
    await large.start();
    await settle();
    expect(large.gateways()).toHaveLength(4096);
    expect(large.get('gw-4095')?.boot).toBe('b1');
    expect(large.get('gw-4096')).toBeNull();
    await put({ ...entries[4095]!, boot: 'b2' });
    await settle();
    expect(large.get('gw-4095')?.boot).toBe('b2');
    await kv.delete('gw-0');
    await put(entries[4096]!);
    await settle();
    expect(large.get('gw-4096')?.boot).toBe('b1');
  });

  it('ignores an entry with a field that is missing or too long, or of another key', async () => {
    await registry.start();
    const isKnown = async (more: object, key = 'gw1') => {
      await kv.put(key, new TextEncoder().encode(JSON.stringify({ ...gw1, ...more })));
      await settle();
      const isThere = registry.get(key) !== null;
      await kv.delete(key);
      await settle();
      return isThere;
    };
    for (const [field, most] of Object.entries({ boot: 256, firstBoot: 256, serviceAddress: 1024, version: 256 })) {
      expect([field, await isKnown({ [field]: 'x'.repeat(most) })]).toEqual([field, true]);
      expect([field, await isKnown({ [field]: 'x'.repeat(most + 1) })]).toEqual([field, false]);
    }
    const name = 'n'.repeat(256);
    expect([await isKnown({ name }, name), await isKnown({ name: 'gw2' }), await isKnown({ boot: '' })]).toEqual([
      true,
      false,
      false,
    ]);
    await kv.put('gw1', new TextEncoder().encode('{'));
    await settle();
    expect(registry.gateways()).toEqual([]);
  });

  it('takes a gateway that does not say whether it drains for one that does not', async () => {
    await registry.start();
    const { draining: _, ...earlier } = gw1;
    await kv.put('gw1', new TextEncoder().encode(JSON.stringify(earlier)));
    await settle();
    expect(registry.get('gw1')).toEqual(gw1);
  });

  it('reports each change of an entry, and nothing when it is written again as it was', async () => {
    await registry.start();
    let told = 0;
    const subscription = registry.onChange(() => told++);
    const put = async (more: object, by: number) => {
      const before = told;
      await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, ...more })));
      await settle();
      expect([more, told - before]).toEqual([more, by]);
    };
    await put({}, 1);
    await put({}, 0);
    await put({ boot: 'b2' }, 1);
    await put({ boot: 'b2', serviceAddress: 'x' }, 1);
    await put({ boot: 'b2', serviceAddress: 'x', version: '9' }, 1);
    await put({ boot: 'b2', serviceAddress: 'x', version: '9', draining: true }, 1);
    await kv.put('other', new TextEncoder().encode('{'));
    await settle();
    expect(told).toBe(5);
    subscription.unsubscribe();
    await kv.delete('gw1');
    await settle();
    expect([told, registry.gateways()]).toEqual([5, []]);
    // A dead gateway whose entry cannot be deleted is left to its entry.
    await registry.remove('gw1', 'b2');
    await register(gw1).start();
    await settle();
    kv.close();
    await registry.remove('gw1', 'b1');
    expect(registry.get('gw1')).toEqual(gw1);
  });

  it('is not complete any more once it is stopped', async () => {
    await registry.start();
    await registry.stop();
    expect([registry.isComplete, registry.gateways()]).toEqual([false, []]);
  });

  it('forgets all gateways and stays silent once stopped', async () => {
    await registry.start();
    await registry.stop();
    await register(gw1).start();
    await settle();
    expect([names(), changes]).toEqual([[], [[]]]);
  });

  it('opens its watch later when the store was away at its start', async () => {
    await register(gw1).start();
    let away = true;
    const flaky = Object.assign(Object.create(kv), {
      watch: (fn: Parameters<typeof kv.watch>[0]) => (away ? Promise.reject(new Error('away')) : kv.watch(fn)),
    });
    const late = new GatewayRegistry({ kv: flaky, clock });
    await late.start();
    expect(late.gateways()).toEqual([]);
    away = false;
    await advance(clock, 1000);
    expect(late.gateways()).toEqual([gw1]);
  });
});
