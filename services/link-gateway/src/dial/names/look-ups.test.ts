import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { Metrics } from '@spanmesh/runtime/metrics';
import { samples } from '@spanmesh/runtime/metrics.fixture';
import { beforeEach, describe, expect, it } from 'vitest';
import { isFailed } from '../../gateway-error.ts';
import { type Found, LookUps } from './look-ups.ts';
import { registerLookUps } from './names-of-targets.ts';

interface Running {
  readonly name: string;
  readonly signal: AbortSignal;
  answer(addresses: string[], ttlMs?: number): void;
  fail(error: Error): void;
}

let clock: FakeClock;
let lookUps: LookUps;
/** Look-ups that were begun, in order. */
let begun: Running[];
beforeEach(() => {
  clock = new FakeClock();
  begun = [];
  lookUps = new LookUps({
    clock,
    lookUp: (name, signal) => {
      const found = Promise.withResolvers<Found>();
      const answer = (addresses: string[], ttlMs = 0) => found.resolve({ addresses, ttlMs });
      begun.push({ name, signal, answer, fail: found.reject });
      return found.promise;
    },
  });
});

const never = new AbortController().signal;

/** What an asker got: the addresses, or the code of the error. */
function ask(name: string, asker: string, signal: AbortSignal = never): Promise<readonly string[] | string> {
  return lookUps
    .resolve(name, { asker, signal })
    .catch((error: unknown) => (isFailed(error, 'look-up') ? error.data.why : String(error)));
}

const names = () => begun.map(({ name }) => name);

describe('names that are looked up', () => {
  // Limits: names/limits.ts MAX_LOOK_UPS_PER_ASKER
  it('64 that are never answered do not keep the name of another asker waiting', async () => {
    const silent = Array.from({ length: 64 }, (_, i) => ask(`host${i}.nowhere.example`, 'evil'));
    expect(lookUps.running).toBe(16);
    const good = ask('good.example', 'good');
    expect(names().at(-1)).toBe('good.example');
    begun.at(-1)!.answer(['192.0.2.1']);
    expect(await good).toEqual(['192.0.2.1']);
    // The unanswered look-ups end by their time limit, 16 at a time, and leave nothing behind.
    for (let i = 0; i < 4; i++) clock.advance(5_000);
    expect(await Promise.all(silent)).toEqual(Array(64).fill('timeout'));
    expect([lookUps.running, lookUps.waiting, clock.pending]).toEqual([0, 0, 0]);
    expect(begun.every(({ signal }) => signal.aborted)).toBe(true);
  });

  // Limits: names/limits.ts MAX_LOOK_UPS
  // Causes: metric spanmesh_gateway_look_ups, spanmesh_gateway_look_ups_waiting
  it('are shown while they run, and while they wait', async () => {
    const metrics = new Metrics();
    registerLookUps(metrics, lookUps);
    for (let i = 0; i < 20; i++) void ask(`host${i}.example`, 'a');
    expect(await samples(metrics)).toEqual({ gateway_look_ups: 16, gateway_look_ups_waiting: 4 });
    clock.advance(60_000);
    expect(await samples(metrics)).toEqual({ gateway_look_ups: 0, gateway_look_ups_waiting: 0 });
  });

  it('askers have their turns, however many names one has', async () => {
    for (const asker of ['a', 'b', 'c', 'd']) for (let i = 0; i < 40; i++) void ask(`${asker}${i}`, asker);
    expect(lookUps.running).toBe(64);
    begun = [];
    const late = ask('late', 'e');
    void ask('f0', 'f');
    clock.advance(5_000);
    // All that ran have ended. The new askers have not waited behind the names that came before theirs.
    const [first] = names();
    expect(first).toBe('a16');
    expect(names().indexOf('late')).toBeLessThan(6);
    begun[names().indexOf('late')]!.answer(['192.0.2.1']);
    expect(await late).toEqual(['192.0.2.1']);
    expect(lookUps.running).toBe(64);
  });

  it('a name is looked up once for all who ask, in the turn of the asker that has it first', async () => {
    for (let i = 0; i < 40; i++) void ask(`evil${i}`, 'evil');
    const both = [ask('Shared.example', 'evil'), ask('shared.example', 'good')];
    expect(names().at(-1)).toBe('shared.example');
    begun.at(-1)!.answer(['192.0.2.1']);
    expect(await Promise.all(both)).toEqual([['192.0.2.1'], ['192.0.2.1']]);
    expect(names().filter((name) => name === 'shared.example')).toHaveLength(1);
  });

  it('that are pinned wait for nobody, not even behind names of the same asker', async () => {
    lookUps = new LookUps({
      clock,
      pinned: (name) => (name === 'pinned.example' ? ['192.0.2.9'] : []),
      lookUp: () => new Promise(() => {}),
    });
    for (let i = 0; i < 64; i++) void ask(`host${i}.nowhere.example`, 'a');
    expect(await ask('Pinned.example', 'a')).toEqual(['192.0.2.9']);
  });

  it('are remembered for as long as the record says', async () => {
    const get = async (ttlMs: number): Promise<unknown> => {
      const asked = ask('a.example', 'a');
      if (begun.length > 0) begun.shift()!.answer(['192.0.2.1'], ttlMs);
      return asked;
    };
    await get(60_000);
    await ask('A.example', 'b');
    expect(begun).toEqual([]);
    clock.advance(60_000);
    await get(0);
    await get(0);
    expect(names()).toEqual([]);
  });

  // Limits: names/limits.ts MAX_REMEMBERED_MS
  it('are remembered for an hour at most, whatever the record says', async () => {
    const asked = ask('a.example', 'a');
    begun[0]!.answer(['192.0.2.1'], 1e9);
    await asked;
    clock.advance(3_600_000 - 1);
    expect(await ask('a.example', 'a')).toEqual(['192.0.2.1']);
    clock.advance(1);
    void ask('a.example', 'a');
    expect(begun).toHaveLength(2);
  });

  // Limits: names/limits.ts MAX_REMEMBERED_NAMES
  it('are remembered up to a number, and then the oldest is forgotten', async () => {
    const get = async (name: string): Promise<void> => {
      const asked = ask(name, 'a');
      begun.pop()?.answer(['192.0.2.1'], 60_000);
      await asked;
    };
    for (let n = 0; n < 4096; n++) await get(`${n}.example`);
    await ask('0.example', 'a');
    expect(begun).toEqual([]);
    await get('one-more.example');
    await ask('1.example', 'a');
    expect(begun).toEqual([]);
    void ask('0.example', 'a');
    expect(names()).toEqual(['0.example']);
  });

  it('end as soon as nobody waits for them', async () => {
    const one = new AbortController();
    const other = new AbortController();
    const asked = [ask('a', 'a', one.signal), ask('a', 'b', other.signal)];
    one.abort();
    expect(await asked[0]).toBe('given-up');
    expect(begun[0]!.signal.aborted).toBe(false);
    other.abort();
    expect(await asked[1]).toBe('given-up');
    expect([begun[0]!.signal.aborted, lookUps.running, clock.pending]).toEqual([true, 0, 0]);
    // A late answer goes to nobody.
    begun[0]!.answer(['192.0.2.1'], 60_000);
    expect(await ask('a', 'a', AbortSignal.abort())).toBe('given-up');
  });

  // Limits: names/limits.ts MAX_WAITING_LOOK_UPS
  it('have a bound: past it the asker that has most loses one', async () => {
    const most = Array.from({ length: 16 + 4096 }, (_, i) => ask(`evil${i}`, 'evil'));
    expect(lookUps.waiting).toBe(4096);
    expect(await ask('one more', 'evil')).toBe('too-many');
    for (let i = 0; i < 60; i++) void ask(`good${i}`, 'good');
    expect(await most.at(-1)).toBe('too-many');
    expect(lookUps.waiting).toBe(4096);
  });

  it('that the asker with most loses are still looked up for others that wait for them', async () => {
    const last = `evil${16 + 4094}`;
    const most = Array.from({ length: 16 + 4095 }, (_, i) => ask(`evil${i}`, 'evil'));
    for (let i = 0; i < 16; i++) void ask(`good${i}`, 'good');
    const shared = ask(last, 'good');
    expect(lookUps.waiting).toBe(4096);
    void ask('one more', 'third');
    expect(await most.at(-1)).toBe('too-many');
    expect(lookUps.waiting).toBe(4095);
    clock.advance(5_000);
    begun.find(({ name }) => name === last)?.answer(['192.0.2.1']);
    expect(await shared).toEqual(['192.0.2.1']);
  });

  it('leave the queue of an asker that has given up, though another one waits for them', async () => {
    for (let i = 0; i < 16; i++) void ask(`silent${i}`, 'a');
    for (let i = 0; i < 16; i++) void ask(`other${i}`, 'b');
    const given = new AbortController();
    const gone = [ask('shared', 'a', given.signal), ask('shared', 'a', given.signal)];
    const stays = ask('shared', 'b');
    expect(lookUps.waiting).toBe(2);
    given.abort();
    expect(await Promise.all(gone)).toEqual(['given-up', 'given-up']);
    expect(lookUps.waiting).toBe(1);
    clock.advance(5_000);
    begun.at(-1)!.answer(['192.0.2.1']);
    expect(await stays).toEqual(['192.0.2.1']);
  });

  it('that are not there say why', async () => {
    const asked = lookUps.resolve('a', { asker: 'a', signal: never });
    const cause = new Error('ENOTFOUND');
    begun[0]!.fail(cause);
    await expect(asked).rejects.toMatchObject({ data: { why: 'not-found' }, cause });
    expect(lookUps.running).toBe(0);
  });
});
