import { beforeEach, describe, expect, it } from 'vitest';
import type { KeyValue } from './bus.ts';
import { FakeClock } from './fake-clock.ts';
import { type Fate, FaultyKv } from './faulty-kv.ts';
import { InProcessKeyValue } from './in-process-kv.ts';
import { Lease, type LeaseState } from './lease.ts';
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';

const TTL = 1000;
const ROLE = 'topology';

/** Lets everything that waits for an answer of the in-process store go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Moves time on, stopping at every timer so that what it starts happens at its own time. */
async function advance(clock: FakeClock, ms: number): Promise<void> {
  const end = clock.now() + ms;
  await settle();
  for (let next = clock.nextAt(); next !== null && next <= end; next = clock.nextAt()) {
    clock.advance(next - clock.now());
    await settle();
  }
  clock.advance(end - clock.now());
  await settle();
}

interface Contender {
  lease: Lease;
  states: LeaseState[];
  fates: Fate[];
  /** The fate of each call that `fates` has none for. */
  weather: { fate: Fate };
}

describe('Lease', () => {
  let clock: FakeClock;
  let store: InProcessKeyValue;
  let nonces: number;
  beforeEach(() => {
    clock = new FakeClock();
    store = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
    nonces = 0;
  });

  function contender(name: string, kv: KeyValue = store, ttlMs = TTL): Contender {
    const fates: Fate[] = [];
    const weather = { fate: { kind: 'ok' } as Fate };
    const seed = ++nonces / 100;
    const lease = new Lease(
      { role: ROLE, address: `${name}:1`, ttlMs },
      { kv: new FaultyKv(kv, { clock, next: () => fates.shift() ?? weather.fate }), clock, random: () => seed },
    );
    const states: LeaseState[] = [];
    lease.onChange((state) => states.push(state));
    return { lease, states, fates, weather };
  }

  async function record(): Promise<LeaseRecord> {
    return decodeLeaseRecord((await store.get(ROLE))!.value!)!;
  }

  async function leader(name: string): Promise<Contender> {
    const it = contender(name);
    it.lease.start();
    await settle();
    expect(it.lease.isValid()).toBe(true);
    return it;
  }

  it('is taken at once in a store that never had it, under epoch 1', async () => {
    const a = contender('a');
    expect([a.lease.isValid(), a.lease.holder(), a.lease.epoch]).toEqual([false, null, 0]);
    a.lease.start();
    expect(a.lease.isValid()).toBe(false);
    await settle();
    expect([a.lease.isValid(), a.lease.holder(), a.lease.epoch]).toEqual([true, { address: 'a:1', epoch: 1 }, 1]);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
    expect(await record()).toMatchObject({ address: 'a:1', epoch: 1, ttl: TTL });
  });

  it('is renewed every quarter of its ttl and stays valid', async () => {
    const a = await leader('a');
    const before = (await store.get(ROLE))!.revision;
    await advance(clock, 10 * TTL);
    expect((await store.get(ROLE))!.revision - before).toBe(40);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
  });

  it('has one holder among several, and a standby that knows it', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, 10 * TTL);
    expect([a.lease.isValid(), b.lease.isValid()]).toEqual([true, false]);
    expect(b.lease.holder()).toEqual({ address: 'a:1', epoch: 1 });
    expect(b.states).toEqual([
      { kind: 'standby', holder: null },
      { kind: 'standby', holder: { address: 'a:1', epoch: 1 } },
    ]);
  });

  it('is valid for 0.8 ttl from before the last renewal was sent, told by the clock and not by a timer', async () => {
    const a = await leader('a');
    a.weather.fate = { kind: 'mute' };
    // Not awaited in between: no timer of the lease gets to do anything but fire.
    clock.advance(799);
    expect(a.lease.isValid()).toBe(true);
    clock.advance(1);
    expect(a.lease.isValid()).toBe(false);
  });

  it('counts the time a renewal took to be answered against its validity', async () => {
    const a = await leader('a');
    a.fates.push({ kind: 'slow', delayMs: 100 });
    a.weather.fate = { kind: 'mute' };
    await advance(clock, 250);
    // Sent at 250, answered at 450.
    await advance(clock, 200);
    expect(a.lease.isValid()).toBe(true);
    await advance(clock, 599);
    expect(a.lease.isValid()).toBe(true);
    await advance(clock, 1);
    expect(a.lease.isValid()).toBe(false);
  });

  it('freezes when it cannot renew and goes on under the same epoch when nobody took over', async () => {
    const a = await leader('a');
    a.weather.fate = { kind: 'fail' };
    await advance(clock, 5 * TTL);
    expect(a.lease.state).toEqual({ kind: 'frozen', epoch: 1 });
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 4);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 1]);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading', 'frozen', 'leading']);
  });

  it('stays with its holder when the store is away for all, and comes back to the standby first', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, TTL);
    a.weather.fate = { kind: 'fail' };
    b.weather.fate = { kind: 'fail' };
    await advance(clock, 5 * TTL);
    b.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 2);
    expect([a.lease.state.kind, b.lease.state.kind]).toEqual(['frozen', 'standby']);
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 4);
    expect([a.lease.isValid(), a.lease.epoch, b.lease.isValid()]).toEqual([true, 1, false]);
  });

  it('goes to a standby after the store was away, when the holder is not heard of for a whole ttl', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, TTL);
    a.weather.fate = { kind: 'fail' };
    b.weather.fate = { kind: 'fail' };
    await advance(clock, 5 * TTL);
    b.weather.fate = { kind: 'ok' };
    await advance(clock, 1.5 * TTL);
    expect([a.lease.isValid(), b.lease.isValid(), b.lease.epoch]).toEqual([false, true, 2]);
  });

  it('goes to a standby that saw no new revision for a whole ttl, not before, under the next epoch', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await settle();
    a.weather.fate = { kind: 'fail' };
    await advance(clock, TTL - 1);
    expect(b.lease.isValid()).toBe(false);
    await advance(clock, TTL / 4);
    expect([a.lease.isValid(), b.lease.isValid(), b.lease.epoch]).toEqual([false, true, 2]);
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 4);
    expect(a.lease.state).toEqual({ kind: 'standby', holder: { address: 'b:1', epoch: 2 } });
  });

  it('is waited for as long as the holder said when its ttl is the longer one', async () => {
    const a = contender('a', store, 4 * TTL);
    a.lease.start();
    await settle();
    const b = contender('b');
    b.lease.start();
    a.weather.fate = { kind: 'mute' };
    await advance(clock, 4 * TTL - 1);
    expect(b.lease.isValid()).toBe(false);
    await advance(clock, TTL / 2);
    expect(b.lease.isValid()).toBe(true);
  });

  it.each(['lost', 'late'] as const)('finds a renewal of unknown outcome (%s) to be its own', async (kind) => {
    const a = await leader('a');
    a.fates.push(kind === 'lost' ? { kind } : { kind, delayMs: 300 });
    await advance(clock, 3 * TTL);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 1]);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
  });

  it('finds a takeover of unknown outcome to be its own, valid only after a renewal', async () => {
    const a = contender('a');
    a.fates.push({ kind: 'ok' }, { kind: 'lost' }, { kind: 'ok' }, { kind: 'mute' });
    a.lease.start();
    await advance(clock, 2 * TTL);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'frozen', 'leading']);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 1]);
  });

  it('is released by a clean stop: a standby takes over at once, under a higher epoch', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await settle();
    const stopped = a.lease.stop();
    expect([a.lease.isValid(), a.lease.holder()]).toEqual([false, null]);
    await stopped;
    await settle();
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, 2]);
  });

  it('keeps its epoch in the store when the last contender stops', async () => {
    const a = await leader('a');
    await a.lease.stop();
    expect(await record()).toMatchObject({ holder: '', epoch: 1 });
    const b = await leader('b');
    expect(b.lease.epoch).toBe(2);
  });

  it('is released also when the last renewal is of unknown outcome', async () => {
    const a = await leader('a');
    a.fates.push({ kind: 'lost' });
    clock.advance(TTL / 4);
    await settle();
    const stopped = a.lease.stop();
    await advance(clock, TTL);
    await stopped;
    expect((await record()).holder).toBe('');
  });

  it('stops within a bounded time when the store is away', async () => {
    const a = await leader('a');
    a.weather.fate = { kind: 'mute' };
    let done = false;
    const stopped = a.lease.stop().then(() => {
      done = true;
    });
    await advance(clock, 2 * TTL);
    expect(done).toBe(true);
    await stopped;
  });

  it('does not take the record of another holder away when it stops', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await settle();
    await b.lease.stop();
    expect((await record()).address).toBe('a:1');
    expect(a.lease.isValid()).toBe(true);
  });

  it('raises its epoch on demand and is not valid until the store has it', async () => {
    const a = await leader('a');
    const raised = a.lease.raiseEpoch(8);
    expect([a.lease.isValid(), a.lease.state]).toEqual([false, { kind: 'frozen', epoch: 1 }]);
    await raised;
    expect([a.lease.isValid(), a.lease.epoch, (await record()).epoch]).toEqual([true, 8, 8]);
    await a.lease.raiseEpoch(8);
    await a.lease.raiseEpoch(3);
    expect(a.lease.epoch).toBe(8);
  });

  it('raises its epoch past a store that does not answer at first', async () => {
    const a = await leader('a');
    a.fates.push({ kind: 'mute' }, { kind: 'lost' }, { kind: 'fail' });
    let done = false;
    const raised = a.lease.raiseEpoch(5).then(() => {
      done = true;
    });
    await advance(clock, TTL / 2);
    expect([done, a.lease.isValid()]).toEqual([false, false]);
    await advance(clock, 2 * TTL);
    await raised;
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 5]);
  });

  it('refuses an epoch from which it could not rise', async () => {
    const a = await leader('a');
    for (const epoch of [Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY, Number.NaN, 1.5]) {
      await expect(a.lease.raiseEpoch(epoch)).rejects.toThrow(RangeError);
    }
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 1]);
  });

  it('takes over at or above an epoch that a standby was told of', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await settle();
    await b.lease.raiseEpoch(20);
    await a.lease.stop();
    await settle();
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, 20]);
  });

  it('waits a ttl in a store that lost the record, and goes above the epoch that it knew', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await a.lease.raiseEpoch(7);
    await advance(clock, TTL);
    expect(b.lease.holder()).toEqual({ address: 'a:1', epoch: 7 });
    a.weather.fate = { kind: 'fail' };
    await store.delete(ROLE);
    await advance(clock, TTL - 1);
    expect(b.lease.isValid()).toBe(false);
    await advance(clock, TTL / 4);
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, 8]);
  });

  it('replaces a record that it cannot read after a ttl', async () => {
    await store.put(ROLE, new TextEncoder().encode('{"holder":7}'));
    const a = contender('a');
    a.lease.start();
    await advance(clock, TTL - 1);
    expect(a.lease.isValid()).toBe(false);
    await advance(clock, TTL / 4);
    expect(a.lease.isValid()).toBe(true);
  });

  it('is overruled by a record that somebody wrote over its own', async () => {
    const a = await leader('a');
    await store.put(ROLE, encodeLeaseRecord({ holder: 'other', address: 'other:1', epoch: 9, ttl: TTL }));
    await advance(clock, TTL / 4);
    expect(a.lease.state).toEqual({ kind: 'standby', holder: { address: 'other:1', epoch: 9 } });
    await advance(clock, 2 * TTL);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 10]);
  });

  it('says who holds it, and how long ago that was renewed last', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, TTL / 2);
    expect([a.lease.holderId, b.lease.holderId]).toEqual([a.lease.id, a.lease.id]);
    expect(b.lease.id).not.toBe(a.lease.id);
    a.weather.fate = { kind: 'fail' };
    b.weather.fate = { kind: 'fail' };
    const [before, seen] = [a.lease.ageMs, b.lease.ageMs];
    await advance(clock, TTL / 2);
    expect([a.lease.ageMs, b.lease.ageMs]).toEqual([before + TTL / 2, seen + TTL / 2]);
  });

  it('is started once', async () => {
    const a = await leader('a');
    await a.lease.stop();
    expect(() => a.lease.start()).toThrow('once');
  });
});
