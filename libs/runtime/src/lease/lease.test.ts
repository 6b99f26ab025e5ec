import { beforeEach, describe, expect, it } from 'vitest';
import type { KeyValue } from '../bus/bus.ts';
import { type Fate, FaultyKv } from '../bus/in-process/faulty-kv.ts';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import type { Clock } from '../clock.ts';
import { FakeClock } from '../fake-clock.ts';
import { advance, settle } from '../fake-time.fixture.ts';
import { Lease, type LeaseState } from './lease.ts';
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';

// Written once more: a change of them must be noticed.
const MAX_EPOCH = 2 ** 48;

const TTL = 1000;
/** Epoch of a term that begins at the start of the fake clock: the seconds of its wall clock. */
const FIRST = 1_600_000_000;
const ROLE = 'topology';

interface Contender {
  lease: Lease;
  states: LeaseState[];
  fates: Fate[];
  /** The fate of each call for which `fates` has none left. */
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

  function contender(name: string, kv: KeyValue = store, ttlMs = TTL, settings = ''): Contender {
    const fates: Fate[] = [];
    const weather = { fate: { kind: 'ok' } as Fate };
    const seed = ++nonces / 100;
    const lease = new Lease(
      { role: ROLE, address: `${name}:1`, ttlMs, settings },
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

  it('is taken at once in a store that never had it, under the epoch of the clock', async () => {
    const a = contender('a');
    expect([a.lease.isValid(), a.lease.holder(), a.lease.epoch]).toEqual([false, null, 0]);
    a.lease.start();
    expect(a.lease.isValid()).toBe(false);
    await settle();
    expect([a.lease.isValid(), a.lease.holder(), a.lease.epoch]).toEqual([
      true,
      { address: 'a:1', epoch: FIRST },
      FIRST,
    ]);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
    expect(await record()).toMatchObject({ address: 'a:1', epoch: FIRST, ttl: TTL });
  });

  it('is renewed every quarter of its ttl and stays valid', async () => {
    const a = await leader('a');
    const before = (await store.get(ROLE))!.revision;
    await advance(clock, 10 * TTL);
    expect((await store.get(ROLE))!.revision - before).toBe(40);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
  });

  it('stays with its holder when its record is overwritten by something that is no record', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, TTL);
    for (let i = 0; i < 10; i++) {
      await store.put(ROLE, new TextEncoder().encode('{"stream":"KV_spanmesh-gateways","seq":7}'));
      await advance(clock, TTL / 2);
      expect([a.lease.isValid(), b.lease.isValid(), await record()]).toMatchObject([true, false, { address: 'a:1' }]);
    }
    expect(a.lease.epoch).toBe(FIRST);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
  });

  it('goes to another when its holder does not return after the record was overwritten', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, TTL);
    a.weather.fate = { kind: 'fail' };
    await store.put(ROLE, new TextEncoder().encode('{}'));
    await advance(clock, 2 * TTL);
    expect([a.lease.isValid(), b.lease.isValid()]).toEqual([false, true]);
    a.weather.fate = { kind: 'ok' };
    await advance(clock, 2 * TTL);
    expect([a.lease.isValid(), b.lease.isValid()]).toEqual([false, true]);
  });

  it('has one holder among several, and a standby that knows it', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, 10 * TTL);
    expect([a.lease.isValid(), b.lease.isValid()]).toEqual([true, false]);
    expect([a.lease.frozenSince, b.lease.frozenSince]).toEqual([null, null]);
    expect(b.lease.holder()).toEqual({ address: 'a:1', epoch: FIRST });
    expect(b.states).toEqual([
      { kind: 'standby', holder: null },
      { kind: 'standby', holder: { address: 'a:1', epoch: FIRST } },
    ]);
  });

  it('is valid for 0.8 ttl from before the last renewal was sent, told by the clock and not by a timer', async () => {
    const a = await leader('a');
    a.weather.fate = { kind: 'mute' };
    // Without an await in between, no timer of the lease can do more than fire.
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
    // The renewal was sent at 250 and answered at 450.
    await advance(clock, 200);
    expect(a.lease.isValid()).toBe(true);
    await advance(clock, 599);
    expect(a.lease.isValid()).toBe(true);
    await advance(clock, 1);
    expect(a.lease.isValid()).toBe(false);
  });

  it('freezes when it cannot renew, and goes on under the same epoch if nobody took over', async () => {
    const a = await leader('a');
    a.weather.fate = { kind: 'fail' };
    await advance(clock, 5 * TTL);
    expect(a.lease.state).toEqual({ kind: 'frozen', epoch: FIRST });
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 4);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST]);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading', 'frozen', 'leading']);
  });

  it('stays with its holder when the store was away for all, and the standby reaches it first', async () => {
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
    expect([a.lease.isValid(), a.lease.epoch, b.lease.isValid()]).toEqual([true, FIRST, false]);
  });

  it('goes to a standby after the store was away, if the holder writes nothing for a whole ttl', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await advance(clock, TTL);
    a.weather.fate = { kind: 'fail' };
    b.weather.fate = { kind: 'fail' };
    await advance(clock, 5 * TTL);
    b.weather.fate = { kind: 'ok' };
    await advance(clock, 1.5 * TTL);
    expect([a.lease.isValid(), b.lease.isValid(), b.lease.epoch]).toEqual([false, true, FIRST + 7]);
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
    expect([a.lease.isValid(), b.lease.isValid(), b.lease.epoch]).toEqual([false, true, FIRST + 1]);
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 4);
    expect(a.lease.state).toEqual({ kind: 'standby', holder: { address: 'b:1', epoch: FIRST + 1 } });
  });

  it('is held for as long as its record says when that ttl is the longer one', async () => {
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
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST]);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'leading']);
  });

  it('finds that a takeover of unknown outcome was its own, valid only after a renewal', async () => {
    const a = contender('a');
    a.fates.push({ kind: 'ok' }, { kind: 'lost' }, { kind: 'ok' }, { kind: 'mute' });
    a.lease.start();
    await advance(clock, 2 * TTL);
    expect(a.states.map((state) => state.kind)).toEqual(['standby', 'frozen', 'leading']);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST]);
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
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, FIRST + 1]);
  });

  it('keeps its epoch in the store when the last contender stops', async () => {
    const a = await leader('a');
    await a.lease.stop();
    expect(await record()).toMatchObject({ holder: '', epoch: FIRST });
    const b = await leader('b');
    expect(b.lease.epoch).toBe(FIRST + 1);
  });

  it('is released also when the last renewal has an unknown outcome', async () => {
    const a = await leader('a');
    a.fates.push({ kind: 'lost' });
    clock.advance(TTL / 4);
    await settle();
    const stopped = a.lease.stop();
    await advance(clock, TTL);
    await stopped;
    expect((await record()).holder).toBe('');
  });

  it('is released also when a takeover of unknown outcome is under way', async () => {
    const a = contender('a');
    a.fates.push({ kind: 'ok' }, { kind: 'lost' });
    a.lease.start();
    await settle();
    expect([a.lease.state.kind, (await record()).address]).toEqual(['standby', 'a:1']);
    const stopped = a.lease.stop();
    await advance(clock, TTL);
    await stopped;
    expect((await record()).holder).toBe('');
  });

  it.each([
    [799, []],
    [800, ['frozen', 'leading']],
  ])(
    'whose process was stopped for %i ms of 1000 until the answer to a renewal came becomes %j',
    async (stopped, kinds) => {
      let asleep = 0;
      const late: Clock = {
        now: () => clock.now() + asleep,
        wall: () => clock.wall() + asleep,
        after: (ms, fn) => clock.after(ms, fn),
      };
      const kv = new FaultyKv(store, { clock, next: () => ({ kind: 'ok' }) });
      kv.update = async (...args) => {
        const revision = await store.update(...args);
        asleep = stopped;
        return revision;
      };
      const lease = new Lease({ role: ROLE, address: 'a:1', ttlMs: TTL }, { kv, clock: late, random: () => 0.5 });
      lease.start();
      await settle();
      const states: LeaseState[] = [];
      lease.onChange((state) => states.push(state));
      clock.advance(TTL / 4);
      await settle();
      expect(states.map((state) => state.kind)).toEqual(kinds);
    },
  );

  it('stops within a limited time when the store is away', async () => {
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

  it('does not delete the record of another holder when it stops', async () => {
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
    const raised = a.lease.raiseEpoch(FIRST + 7);
    expect([a.lease.isValid(), a.lease.state]).toEqual([false, { kind: 'frozen', epoch: FIRST }]);
    await raised;
    expect([a.lease.isValid(), a.lease.epoch, (await record()).epoch]).toEqual([true, FIRST + 7, FIRST + 7]);
    const { length } = a.states;
    for (const reached of [FIRST + 7, FIRST + 2]) {
      const done = a.lease.raiseEpoch(reached);
      expect(a.lease.isValid()).toBe(true);
      await done;
    }
    expect([a.lease.epoch, a.states.length]).toEqual([FIRST + 7, length]);
  });

  // In a store that was restored, the record of another may have a revision that ours had.
  it.each(['stops', 'steps down'])('writes nothing more when it %s after it has lost its record', async (how) => {
    const kv = new FaultyKv(store, { clock, next: () => ({ kind: 'ok' }) });
    const written: number[] = [];
    kv.update = async (key, value, revision) => {
      written.push(revision);
      return store.update(key, value, revision);
    };
    const a = contender('a', kv);
    a.lease.start();
    await advance(clock, TTL);
    expect([a.lease.isValid(), written.length > 0]).toEqual([true, true]);
    await store.put(
      ROLE,
      encodeLeaseRecord({ holder: 'other', address: 'other:1', epoch: FIRST + 8, ttl: TTL, settings: '', beat: 0 }),
    );
    await advance(clock, TTL / 4);
    expect(a.lease.state.kind).toBe('standby');
    const { length } = written;
    if (how === 'stops') await a.lease.stop();
    else a.lease.stepDown(TTL);
    await advance(clock, TTL / 2);
    expect(written.slice(length)).toEqual([]);
    expect(await record()).toMatchObject({ holder: 'other' });
  });

  it('raises its epoch past a store that does not answer at first', async () => {
    const a = await leader('a');
    a.fates.push({ kind: 'mute' }, { kind: 'lost' }, { kind: 'fail' });
    let done = false;
    const raised = a.lease.raiseEpoch(FIRST + 4).then(() => {
      done = true;
    });
    await advance(clock, TTL / 2);
    expect([done, a.lease.isValid()]).toEqual([false, false]);
    await advance(clock, 2 * TTL);
    await raised;
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST + 4]);
  });

  it('refuses an epoch that cannot have existed', async () => {
    const a = await leader('a');
    for (const epoch of [
      FIRST + 11 * 366 * 86_400,
      2 ** 32,
      Number.MAX_SAFE_INTEGER,
      Number.POSITIVE_INFINITY,
      Number.NaN,
      1.5,
    ]) {
      await expect(a.lease.raiseEpoch(epoch)).rejects.toThrow(RangeError);
    }
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST]);
  });

  it('takes over at or above an epoch that a standby was told', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await settle();
    await b.lease.raiseEpoch(FIRST + 19);
    await a.lease.stop();
    await settle();
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, FIRST + 19]);
  });

  it('waits a ttl in a store that lost the record, and goes above the epoch that it knew', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await a.lease.raiseEpoch(FIRST + 6);
    await advance(clock, TTL);
    expect(b.lease.holder()).toEqual({ address: 'a:1', epoch: FIRST + 6 });
    a.weather.fate = { kind: 'fail' };
    await store.delete(ROLE);
    await advance(clock, TTL - 1);
    expect(b.lease.isValid()).toBe(false);
    await advance(clock, TTL / 4);
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, FIRST + 7]);
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

  it('is lost to a record that somebody wrote over its own', async () => {
    const a = await leader('a');
    await store.put(
      ROLE,
      encodeLeaseRecord({ holder: 'other', address: 'other:1', epoch: FIRST + 8, ttl: TTL, settings: '', beat: 0 }),
    );
    await advance(clock, TTL / 4);
    expect(a.lease.state).toEqual({ kind: 'standby', holder: { address: 'other:1', epoch: FIRST + 8 } });
    await advance(clock, 2 * TTL);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST + 9]);
  });

  it('is not taken because of a record seen before the store fell silent: a restored store may have that revision again', async () => {
    const a = await leader('a');
    let isSilent = false;
    let writes = 0;
    const kv: KeyValue = {
      get: (key) => (isSilent ? Promise.reject(new Error('no answer')) : store.get(key)),
      keys: () => store.keys(),
      watch: (fn, key) => store.watch(fn, key),
      put: (key, value) => store.put(key, value),
      create: (key, value) => store.create(key, value),
      delete: (key, revision) => store.delete(key, revision),
      update: (key, value, revision) => {
        writes++;
        return store.update(key, value, revision);
      },
    };
    const b = contender('b', kv);
    b.lease.start();
    await advance(clock, TTL / 2);
    isSilent = true;
    await advance(clock, 5 * TTL);
    expect([a.lease.isValid(), b.lease.isValid(), writes]).toEqual([true, false, 0]);
    await a.lease.stop();
    isSilent = false;
    await advance(clock, 2 * TTL);
    expect([b.lease.isValid(), writes > 0]).toEqual([true, true]);
  });

  it('names its holder, and how long ago it was last renewed', async () => {
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

  it('does not repeat the epochs of earlier lives that its store does not know', async () => {
    const a = await leader('a');
    await advance(clock, 5 * TTL);
    const other = contender('b', new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) }));
    other.lease.start();
    await settle();
    expect(other.lease.epoch).toBe(FIRST + 5);
    expect(other.lease.epoch).toBeGreaterThan(a.lease.epoch);
  });

  it('goes on above an epoch of another century, and replaces one too high to rise above', async () => {
    const put = (epoch: number) =>
      store.put(ROLE, encodeLeaseRecord({ holder: '', address: '', epoch, ttl: TTL, settings: '', beat: 0 }));
    await put(2 ** 32);
    const a = await leader('a');
    expect(a.lease.epoch).toBe(2 ** 32 + 1);
    await a.lease.raiseEpoch(2 ** 32 + 8);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, 2 ** 32 + 8]);
    await a.lease.stop();
    for (const epoch of [Number.MAX_SAFE_INTEGER, MAX_EPOCH]) {
      await put(epoch);
      const b = contender('b');
      b.lease.start();
      await advance(clock, 1.5 * TTL);
      expect(b.lease.isValid()).toBe(true);
      expect(b.lease.epoch).toBeLessThan(FIRST + 10);
      await b.lease.stop();
    }
  });

  it('is given back at once by stepDown, which pauses contending for a while', async () => {
    const a = await leader('a');
    const b = contender('b');
    b.lease.start();
    await settle();
    a.lease.stepDown(10 * TTL);
    expect([a.lease.isValid(), a.lease.state]).toEqual([false, { kind: 'standby', holder: null }]);
    await settle();
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, FIRST + 1]);
    await b.lease.stop();
    await advance(clock, 10 * TTL - 1);
    expect(a.lease.state).toEqual({ kind: 'standby', holder: null });
    await advance(clock, TTL / 4);
    expect([a.lease.isValid(), a.lease.epoch]).toEqual([true, FIRST + 10]);
  });

  it.each(['lost', 'fail', 'mute', 'late'] as const)(
    'steps down though the store does not answer as it should (%s)',
    async (kind) => {
      const a = await leader('a');
      const b = contender('b');
      b.lease.start();
      await settle();
      // A renewal is under way.
      a.fates.push({ kind: 'slow', delayMs: TTL / 8 });
      await advance(clock, TTL / 4);
      a.lease.stepDown(10 * TTL);
      a.fates.push(kind === 'late' ? { kind, delayMs: TTL / 2 } : { kind }, { kind: 'ok' }, { kind: 'fail' });
      await advance(clock, 1.5 * TTL);
      expect([a.lease.isValid(), a.lease.state.kind, b.lease.isValid()]).toEqual([false, 'standby', true]);
      expect(a.states.map((state) => state.kind)).not.toContain('frozen');
    },
  );

  it('waits longer when its settings differ from the holder’s, so that a standby with equal settings is faster', async () => {
    const a = contender('a', store, TTL, 'widths 2');
    a.lease.start();
    await settle();
    const b = contender('b', store, TTL, 'widths 3');
    const c = contender('c', store, TTL, 'widths 2');
    b.lease.start();
    await settle();
    c.lease.start();
    await settle();
    expect([b.lease.settings, b.lease.holderSettings, b.lease.settingsDiffer]).toEqual(['widths 3', 'widths 2', true]);
    expect([a.lease.settingsDiffer, c.lease.settingsDiffer]).toEqual([false, false]);
    await a.lease.stop();
    await settle();
    expect([b.lease.isValid(), c.lease.isValid()]).toEqual([false, true]);
    c.weather.fate = { kind: 'fail' };
    await advance(clock, 3 * TTL - 1);
    expect(b.lease.isValid()).toBe(false);
    await advance(clock, TTL / 2);
    expect([b.lease.isValid(), b.lease.settingsDiffer]).toEqual([true, false]);
  });

  it('takes over a released record of other settings after a ttl in which nobody else has', async () => {
    const a = contender('a', store, TTL, 'widths 2');
    a.lease.start();
    await settle();
    await a.lease.stop();
    expect(await record()).toMatchObject({ holder: '', settings: 'widths 2' });
    const b = contender('b', store, TTL, 'widths 3');
    b.lease.start();
    await advance(clock, TTL - 1);
    expect(b.lease.isValid()).toBe(false);
    await advance(clock, TTL / 4);
    expect(b.lease.isValid()).toBe(true);
  });

  it('says since when it is frozen: since the last valid moment, by the clock', async () => {
    const a = await leader('a');
    expect(a.lease.frozenSince).toBeNull();
    a.weather.fate = { kind: 'mute' };
    await advance(clock, 3_600_000);
    expect([a.lease.state.kind, a.lease.frozenSince]).toEqual(['frozen', 0.8 * TTL]);
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL / 4);
    expect(a.lease.frozenSince).toBeNull();
    a.weather.fate = { kind: 'fail' };
    const raised = a.lease.raiseEpoch(a.lease.epoch + 5);
    expect(a.lease.frozenSince).toBe(clock.now());
    a.weather.fate = { kind: 'ok' };
    await advance(clock, TTL);
    await raised;
    expect(a.lease.frozenSince).toBeNull();
  });

  it('can be started once only', async () => {
    const a = await leader('a');
    await a.lease.stop();
    expect(() => a.lease.start()).toThrow('once');
  });

  it('has the highest epoch that there may be once that is reached, and none above it', async () => {
    const put = (epoch: number) =>
      store.put(ROLE, encodeLeaseRecord({ holder: '', address: '', epoch, ttl: TTL, settings: '', beat: 0 }));
    await put(MAX_EPOCH - 2);
    expect((await leader('a')).lease.epoch).toBe(MAX_EPOCH - 1);
    await put(MAX_EPOCH - 1);
    const b = contender('b');
    b.lease.start();
    await settle();
    expect([b.lease.isValid(), b.lease.epoch]).toEqual([true, MAX_EPOCH]);
  });

  it('knows nobody before its start and after its stop, and of a holder where it is reached', async () => {
    const a = contender('a');
    const shown = ({ lease }: Contender) => [
      lease.holderId,
      lease.ageMs,
      lease.leaderElsewhere(),
      lease.holderSettings,
    ];
    expect(shown(a)).toEqual(['', 0, null, '']);
    expect([a.lease.frozenSince, a.lease.settingsDiffer]).toEqual([null, false]);
    await a.lease.stop();
    expect(a.states).toEqual([]);
    const b = await leader('b');
    const c = contender('c');
    c.lease.start();
    await settle();
    clock.advance(100);
    expect(shown(b)).toEqual([b.lease.id, 100, null, '']);
    expect(shown(c)).toEqual([b.lease.id, 100, 'b:1', '']);
    // An earlier life at the same address is nobody else.
    const again = contender('b');
    again.lease.start();
    await settle();
    expect([again.lease.holder()?.address, again.lease.leaderElsewhere()]).toEqual(['b:1', null]);
    await c.lease.stop();
    await c.lease.stop();
    expect([c.lease.holder(), c.lease.leaderElsewhere()]).toEqual([null, null]);
  });

  it('tells no listener that has ended, and leaves no timer after its stop', async () => {
    const a = contender('a');
    const told: string[] = [];
    const subscription = a.lease.onChange(({ kind }) => told.push(kind));
    a.lease.start();
    await settle();
    subscription.unsubscribe();
    await a.lease.stop();
    await settle();
    expect([told, a.states.map(({ kind }) => kind), clock.pending]).toEqual([
      ['standby', 'leading'],
      ['standby', 'leading', 'stopped'],
      0,
    ]);
  });

  it('does not take the lease while it steps down, even if it did not hold it', async () => {
    const a = contender('a');
    a.lease.start();
    a.lease.stepDown(3 * TTL);
    await advance(clock, 3 * TTL - 1);
    expect([a.lease.isValid(), a.lease.state.kind]).toEqual([false, 'standby']);
    await advance(clock, TTL / 2);
    expect(a.lease.isValid()).toBe(true);
  });
});
