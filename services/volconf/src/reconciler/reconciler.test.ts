import { Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { OrderError } from '../gateways/gateway-port.ts';
import { HANGUP_RETRY_MS } from '../limits.ts';
import { FakePort } from '../testing/fake-port.fixture.ts';
import { Reconciler, type ReconcilerOptions } from './reconciler.ts';
import { type Destination, type Target, visible } from './target.ts';

const EPOCH = 7;
const HOST: Destination = { host: 'host', port: 987, dialect: 'circuit' };
const OTHER: Destination = { host: 'other', port: 987, dialect: 'circuit' };

/** A reconciler whose gateways answer only when the test says so; pauses are not shortened. */
function rig(options: Partial<ReconcilerOptions> = {}) {
  const clock = new FakeClock();
  const ports = new Map<string, FakePort>();
  const live = new Set<string>();
  const is = { mayOrder: true, mayDial: true, allHeard: true };
  const told: string[] = [];
  const stale: number[] = [];
  const reconciler = new Reconciler(
    {
      epoch: EPOCH,
      connectTimeout: 5000,
      answerTimeout: 10_000,
      retryFirst: 1000,
      retryMax: 60_000,
      stableAfter: 60_000,
      maxDials: 4,
      ...options,
    },
    {
      clock,
      random: () => 0,
      gateways: {
        live: () =>
          [...live].map((key) => ({ key, name: key.split('.')[0] ?? '', port: ports.get(key) ?? new FakePort() })),
        port: (key) => ports.get(key) ?? null,
      },
      mayOrder: () => is.mayOrder,
      mayDial: () => is.mayDial,
      allHeard: () => is.allHeard,
      wishes: () => [],
      changed: (target, was) => told.push(`${target.owner}: ${was} > ${target.state.kind}`),
      staleEpoch: (heard) => stale.push(heard),
    },
  );
  const gateway = (key: string): FakePort => {
    const port = new FakePort();
    ports.set(key, port);
    live.add(key);
    return port;
  };
  const gone = (key: string): void => {
    ports.delete(key);
    live.delete(key);
    reconciler.gone(key);
  };
  /** A target that is shown to users. */
  const target = (owner = 'a'): Target => {
    const made = reconciler.target(owner, `label of ${owner}`);
    made.shown = true;
    return made;
  };
  return { clock, ports, live, is, told, stale, reconciler, gateway, gone, target };
}

type Rig = ReturnType<typeof rig>;

/** Waits until the answers have arrived. */
const settle = () => new Promise((resolve) => setImmediate(resolve));
const UP = { connection: 5, remoteAddress: '192.0.2.9:987' };

/** A connection as a gateway reports it. */
function up(owner: string, generation: number, { epoch = EPOCH, host = 'host' } = {}) {
  return { owner, epoch, generation, ...UP, host, port: 987, dialect: Dialect.DIALECT_CIRCUIT };
}

function down(owner: string, generation: number, { epoch = EPOCH, gatewayStops = false } = {}) {
  return { owner, epoch, generation, gatewayStops };
}

/** A target that is connected at the gateway, by its first order. */
async function running(made: Rig, port: FakePort, owner = 'a'): Promise<Target> {
  const target = made.target(owner);
  made.reconciler.want(target, HOST);
  port.dials.at(-1)!.answer(UP);
  await settle();
  expect(target.state.kind).toBe('running');
  return target;
}

const IDLE = { leftovers: 0, timers: 0, due: 0, principalsThatWait: 0, principalsUnderWay: 0, dialling: 0 };

describe('a target that is wanted', () => {
  it('is ordered from a gateway at once, with all data that the gateway needs', async () => {
    const made = rig({ connectTimeout: 1500.5, answerTimeout: 2500.5 });
    const port = made.gateway('gw.1');
    const target = made.target();
    Object.assign(target, { mediaId: 'media', principal: '192.0.2.1', byOperator: true });
    made.reconciler.want(target, { ...HOST, dialect: 'auto' });
    expect(port.dials.map(({ request }) => request)).toEqual([
      {
        owner: 'a',
        epoch: EPOCH,
        generation: 1,
        host: 'host',
        port: 987,
        dialect: Dialect.DIALECT_UNSPECIFIED,
        connectTimeoutMs: 1501,
        answerTimeoutMs: 2501,
        label: 'label of a',
        mediaId: 'media',
        principal: '192.0.2.1',
        byOperator: true,
      },
    ]);
    expect(target).toMatchObject({
      attempts: 1,
      state: { kind: 'dialling', placed: { gateway: 'gw.1', generation: 1 } },
    });
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 1, principalsUnderWay: 1, dialling: 1 });
    made.clock.advance(30);
    port.dials[0]!.answer(UP);
    await settle();
    expect(target).toMatchObject({ attempts: 0, failing: false, state: { kind: 'running', ...UP, upAt: 30 } });
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 1 });
    expect(made.told).toEqual(['a: stopped > ready', 'a: ready > dialling', 'a: dialling > running']);
    expect(made.reconciler.attemptsMade).toBe(1);
  });

  it('is unchanged while the same object is wanted', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = await running(made, port);
    made.reconciler.want(target, HOST);
    expect([port.dials.length, port.hangups.length, target.state.kind]).toEqual([1, 0, 'running']);
  });

  it('waits until dialling is allowed, and until there is a gateway; that there is none is reported once', () => {
    const made = rig();
    made.is.mayDial = false;
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.is.mayDial = true;
    made.is.mayOrder = false;
    made.reconciler.resume();
    expect(port.dials).toEqual([]);
    made.is.mayOrder = true;
    made.live.clear();
    made.clock.advance(40);
    made.told.length = 0;
    made.reconciler.resume();
    made.reconciler.resume();
    expect(made.told).toEqual(['a: ready > ready']);
    expect(target.lastError).toBe('no link-gateway can be reached');
    expect(target.lastErrorAt).toBe(made.clock.wall());
    made.live.add('gw.1');
    made.reconciler.resume();
    expect(port.dials).toHaveLength(1);
  });

  it('is dialled together with as many others as the setting allows; the next attempt begins when one has ended', async () => {
    const made = rig({ maxDials: 2 });
    const port = made.gateway('gw.1');
    for (const owner of ['a', 'b', 'c']) made.reconciler.want(made.target(owner), HOST);
    expect([port.dials.length, made.reconciler.dialling]).toEqual([2, 2]);
    port.dials[0]!.fail(new OrderError('failed', 'no'));
    await settle();
    expect(port.dials.map(({ request }) => request.owner)).toEqual(['a', 'b', 'c']);
  });

  it('is stopped, hung up and forgotten when it is not wanted any more', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = await running(made, port);
    target.failing = true;
    made.reconciler.drop(target);
    expect(target).toMatchObject({ state: { kind: 'stopped' }, failing: false, shown: false });
    expect(port.hangups.map(({ request }) => request)).toEqual([
      { owner: 'a', epoch: EPOCH, generation: 1, reason: 'not wanted any more' },
    ]);
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 1, leftovers: 1 });
    expect([...made.reconciler.targets()]).toEqual([target]);
    port.hangups[0]!.answer();
    await settle();
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 0 });
    expect(made.reconciler.hangups).toBe(1);
  });

  it('is kept while users are shown it, though it wants no destination', () => {
    const made = rig();
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.want(target, null);
    expect([made.reconciler.size, made.reconciler.get('a')]).toEqual([1, target]);
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 1 });
    made.reconciler.drop(target);
    expect([made.reconciler.size, made.reconciler.get('a')]).toEqual([0, undefined]);
  });

  it('that is made anew continues above the generations of all forgotten targets', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    for (const owner of ['a', 'b']) {
      const target = made.target(owner);
      target.generation = owner === 'a' ? 41 : 3;
      made.reconciler.drop(target);
    }
    expect(made.reconciler.target('c', 'c').generation).toBe(41);
    made.reconciler.want(made.target('a'), HOST);
    expect(port.dials[0]!.request.generation).toBe(42);
  });

  it('takes over a new label', () => {
    const made = rig();
    const target = made.reconciler.target('a', 'one');
    expect(target.since).toBe(made.clock.wall());
    expect(made.reconciler.target('a', 'other')).toBe(target);
    expect(target.label).toBe('other');
  });

  it('has the time of its last visible change, and of no other change', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const begun = made.clock.wall();
    const target = made.target();
    made.clock.advance(10);
    made.reconciler.want(target, HOST);
    expect(target.since).toBe(begun + 10);
    made.clock.advance(10);
    port.dials[0]!.fail(new OrderError('failed', 'no'));
    await settle();
    expect([target.state.kind, target.since]).toEqual(['waiting', begun + 10]);
    expect((['stopped', 'waiting', 'ready', 'dialling', 'running'] as const).map(visible)).toEqual([
      'stopped',
      'connect',
      'connect',
      'connect',
      'running',
    ]);
  });
});

describe('an attempt that fails', () => {
  it('is made again after a pause, which doubles, if the gateway says that there is no connection', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.clock.advance(100);
    port.dials[0]!.fail(new OrderError('failed', 'nobody answers there'));
    await settle();
    expect(target).toMatchObject({
      lastError: 'nobody answers there',
      lastErrorAt: made.clock.wall(),
      failing: true,
      failures: 1,
      attempts: 1,
      state: { kind: 'waiting', at: 1100 },
    });
    expect(made.reconciler.timers).toBe(1);
    made.clock.advance(999);
    expect(port.dials).toHaveLength(1);
    made.clock.advance(1);
    expect(port.dials[1]!.request.generation).toBe(2);
    port.dials[1]!.fail(new OrderError('failed', 'no'));
    await settle();
    expect(target).toMatchObject({ failures: 2, attempts: 2, state: { kind: 'waiting', at: 3100 } });
    expect([made.reconciler.attemptsMade, made.reconciler.attemptsFailed, port.hangups.length]).toEqual([2, 2, 0]);
  });

  it('is hung up first, as often as necessary, if its outcome is unknown', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    port.dials[0]!.fail(new OrderError('unknown', 'the way is gone'));
    await settle();
    expect(port.hangups[0]!.request).toEqual({
      owner: 'a',
      epoch: EPOCH,
      generation: 1,
      reason: 'it is not known whether it stands',
    });
    made.clock.advance(5000);
    expect([target.state.kind, port.dials.length, port.hangups.length]).toEqual(['ready', 1, 1]);
    port.hangups[0]!.fail(new OrderError('unknown', 'the way is gone'));
    await settle();
    expect(made.reconciler.timers).toBe(1);
    made.clock.advance(HANGUP_RETRY_MS - 1);
    expect(port.hangups).toHaveLength(1);
    made.clock.advance(1);
    expect(port.hangups).toHaveLength(2);
    made.told.length = 0;
    port.hangups[1]!.answer();
    await settle();
    expect(made.told[0]).toBe('a: ready > ready');
    expect(port.dials).toHaveLength(2);
    expect(made.reconciler.tables()).toMatchObject({ leftovers: 0, timers: 0 });
  });

  it('with an error that is not a gateway’s has an unknown outcome, too', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    port.dials[0]!.fail(new TypeError('what is this'));
    await settle();
    expect([target.lastError, port.hangups.length]).toEqual(['what is this', 1]);
  });

  it('reports the epoch of the leader that the gateway has heard of, as a hang-up does', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    port.dials[0]!.fail(new OrderError('stale-epoch', 'stale', { epoch: 9 }));
    await settle();
    port.hangups[0]!.fail(new OrderError('stale-epoch', 'stale', { epoch: 11 }));
    await settle();
    expect(made.stale).toEqual([9, 11]);
    made.reconciler.want(target, null);
    made.clock.advance(HANGUP_RETRY_MS);
    made.reconciler.close();
    port.hangups[1]!.fail(new OrderError('stale-epoch', 'stale', { epoch: 13 }));
    await settle();
    expect(made.stale).toEqual([9, 11]);
  });

  it('of a destination that is not wanted any more changes nothing', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.want(target, OTHER);
    expect(target).toMatchObject({ attempts: 0, failures: 0, failing: false, state: { kind: 'ready' } });
    expect(port.hangups[0]!.request).toMatchObject({ generation: 1, reason: 'another target' });
    port.dials[0]!.fail(new OrderError('superseded', 'superseded'));
    await settle();
    expect([target.lastError, made.reconciler.attemptsFailed]).toEqual(['', 0]);
    port.hangups[0]!.answer();
    await settle();
    expect(port.dials[1]!.request).toMatchObject({ host: 'other', generation: 2 });
    // An answer that comes too late changes nothing, either.
    made.reconciler.want(target, HOST);
    port.dials[1]!.answer(UP);
    await settle();
    expect(target.state.kind).toBe('ready');
  });

  it('begins with short pauses again when another destination is wanted', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    port.dials[0]!.fail(new OrderError('failed', 'no'));
    await settle();
    made.reconciler.want(target, OTHER);
    expect(target).toMatchObject({ attempts: 1, failures: 0, failing: false });
    expect(port.dials).toHaveLength(2);
    expect(made.reconciler.timers).toBe(0);
  });
});

describe('a connection that a gateway reports', () => {
  it('is adopted if it leads to the wanted destination', () => {
    const made = rig();
    made.is.mayDial = false;
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.up('gw.1', up('a', 3, { epoch: 5 }));
    expect(target).toMatchObject({
      generation: 3,
      state: { kind: 'running', placed: { gateway: 'gw.1', epoch: 5, generation: 3 }, destination: HOST, ...UP },
    });
    expect([made.reconciler.adopted, made.reconciler.tables()]).toEqual([1, { ...IDLE, targets: 1 }]);
    // Reporting it again changes nothing.
    made.told.length = 0;
    made.reconciler.up('gw.1', up('a', 3, { epoch: 5 }));
    expect([made.told, made.reconciler.adopted, port.hangups.length]).toEqual([[], 1, 0]);
  });

  it('is adopted by a target that waits for its next attempt, which is cancelled', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    port.dials[0]!.fail(new OrderError('failed', 'no'));
    await settle();
    made.reconciler.up('gw.1', up('a', 2));
    expect(target).toMatchObject({ attempts: 0, failing: false, state: { kind: 'running' } });
    expect(made.reconciler.timers).toBe(0);
    made.clock.advance(60_000);
    expect(port.dials).toHaveLength(1);
  });

  it('is hung up if it leads to another destination; then the target is dialled', async () => {
    const made = rig();
    made.is.mayDial = false;
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.up('gw.1', up('a', 3, { host: 'elsewhere' }));
    expect(target.state.kind).toBe('ready');
    expect(port.hangups[0]!.request).toMatchObject({ generation: 3, reason: 'not the connection that counts' });
    made.is.mayDial = true;
    made.reconciler.resume();
    expect(port.dials).toEqual([]);
    port.hangups[0]!.answer();
    await settle();
    expect(port.dials[0]!.request.generation).toBe(4);
  });

  it('that no target wants remains until all gateways and the store are loaded, and is hung up then', async () => {
    const made = rig();
    made.is.allHeard = false;
    const port = made.gateway('gw.1');
    made.reconciler.up('gw.1', up('a', 3));
    const target = made.reconciler.get('a')!;
    expect(target.state).toMatchObject({ kind: 'running', ...UP, destination: HOST, upAt: 0 });
    made.is.allHeard = true;
    const stopped = made.target('stopped');
    made.reconciler.hangUpUnwanted();
    expect([target.state.kind, stopped.state.kind]).toEqual(['stopped', 'stopped']);
    expect(port.hangups.map(({ request }) => request)).toEqual([
      { owner: 'a', epoch: EPOCH, generation: 3, reason: 'nobody wants it' },
    ]);
    port.hangups[0]!.answer();
    await settle();
    expect(made.reconciler.get('a')).toBeUndefined();
    // A connection that is reported later is hung up at once.
    made.reconciler.up('gw.1', up('b', 1));
    expect(port.hangups[1]!.request).toMatchObject({ owner: 'b', reason: 'not the connection that counts' });
  });

  it('is adopted if it was established before its destination was wanted', async () => {
    const made = rig();
    made.is.allHeard = false;
    const port = made.gateway('gw.1');
    made.clock.advance(5);
    made.reconciler.up('gw.1', up('a', 3));
    made.reconciler.up('gw.1', up('b', 3));
    made.reconciler.want(made.target('a'), { ...HOST });
    expect([made.reconciler.adopted, port.hangups.length, port.dials.length]).toEqual([1, 0, 0]);
    expect(made.target('a').state).toMatchObject({ kind: 'running', upAt: 5 });
    expect(made.told.at(-1)).toBe('a: running > running');
    made.reconciler.want(made.target('b'), OTHER);
    expect([made.reconciler.adopted, port.hangups[0]!.request.owner]).toEqual([1, 'b']);
    // An adopted connection is not hung up with the unwanted ones.
    made.reconciler.hangUpUnwanted();
    expect(port.hangups).toHaveLength(1);
  });

  it('before the attempt is answered counts as the result of the attempt', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.up('gw.1', up('a', 1));
    expect(target.state.kind).toBe('running');
    made.told.length = 0;
    port.dials[0]!.answer(UP);
    await settle();
    expect([made.told, made.reconciler.dialling, made.reconciler.adopted]).toEqual([[], 0, 0]);
  });

  it('is kept if it is of the later order; the other one is hung up', () => {
    const made = rig();
    made.is.allHeard = false;
    const [one, two] = [made.gateway('one.1'), made.gateway('two.1')];
    const target = made.target();
    made.reconciler.want(target, HOST);
    one.dials.length = 0;
    two.dials.length = 0;
    const standing = made.target('b');
    made.is.mayDial = false;
    made.reconciler.want(standing, HOST);
    made.reconciler.up('one.1', up('b', 4));
    made.reconciler.up('two.1', up('b', 5));
    expect(standing.state).toMatchObject({ kind: 'running', placed: { gateway: 'two.1', generation: 5 } });
    expect(one.hangups.map(({ request }) => request)).toEqual([
      { owner: 'b', epoch: EPOCH, generation: 4, reason: 'a later connection stands' },
    ]);
    made.reconciler.up('one.1', up('b', 5, { epoch: EPOCH - 1 }));
    expect(standing.state).toMatchObject({ placed: { gateway: 'two.1' } });
    // A later one that leads to another destination is not kept.
    made.reconciler.up('one.1', up('b', 6, { host: 'elsewhere' }));
    expect(standing.state).toMatchObject({ placed: { gateway: 'two.1' } });
    expect(one.hangups.at(-1)!.request).toMatchObject({ generation: 6 });
    expect(two.hangups).toEqual([]);
  });

  it('is not hung up twice; a later one at the same gateway is hung up, too', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    made.reconciler.up('gw.1', up('a', 3));
    made.reconciler.up('gw.1', up('a', 3));
    made.reconciler.up('gw.1', up('a', 2));
    expect(port.hangups).toHaveLength(1);
    made.reconciler.up('gw.1', up('a', 4));
    expect(port.hangups.map(({ request }) => request.generation)).toEqual([3, 4]);
    // The answer to the first hang-up does not concern the second connection.
    port.hangups[0]!.answer();
    await settle();
    expect(made.reconciler.tables()).toMatchObject({ targets: 1, leftovers: 1 });
    port.hangups[1]!.answer();
    await settle();
    expect(made.reconciler.tables()).toMatchObject({ targets: 0, leftovers: 0 });
  });

  it('is not adopted while another connection may be established', async () => {
    const made = rig();
    made.is.mayDial = false;
    const [port, other] = [made.gateway('gw.1'), made.gateway('other.1')];
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.up('gw.1', up('a', 3, { host: 'elsewhere' }));
    made.reconciler.up('other.1', up('a', 4));
    expect([target.state.kind, made.reconciler.adopted, port.hangups.length, other.hangups.length]).toEqual([
      'ready',
      0,
      1,
      1,
    ]);
    // A second, unwanted connection is not kept either, although not all gateways are loaded yet.
    made.is.allHeard = false;
    made.reconciler.up('gw.1', up('b', 1));
    made.reconciler.up('other.1', up('b', 2));
    expect(made.reconciler.get('b')!.state).toMatchObject({ placed: { gateway: 'gw.1' } });
    expect(other.hangups).toHaveLength(2);
  });

  it('is hung up while another gateway has an order to dial, and the attempt continues', () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    const other = made.gateway('other.1');
    made.reconciler.up('other.1', up('a', 9));
    expect([target.state.kind, other.hangups.length, port.hangups.length, made.reconciler.adopted]).toEqual([
      'dialling',
      1,
      0,
      0,
    ]);
  });

  it('with an impossible generation does not make the next order’s generation too large', () => {
    const made = rig();
    made.is.allHeard = false;
    made.gateway('gw.1');
    made.reconciler.up('gw.1', up('a', 2 ** 40));
    expect(made.reconciler.get('a')!.generation).toBe(2 ** 31);
    made.reconciler.up('gw.1', up('b', 2 ** 31));
    expect(made.reconciler.get('b')!.generation).toBe(2 ** 31);
  });

  it('of a gateway that is gone need not be hung up', () => {
    const made = rig();
    made.reconciler.up('gw.1', up('a', 3));
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 0 });
  });
});

describe('a connection that ends', () => {
  it('is dialled again after a pause, which is the first one again if the connection has lasted long enough', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = await running(made, port);
    target.failures = 3;
    made.clock.advance(59_999);
    made.reconciler.down('gw.1', down('a', 1), 'peer-closed');
    expect(target).toMatchObject({
      failures: 4,
      failing: true,
      lastError: 'the connection was lost: peer-closed',
      state: { kind: 'waiting', at: 59_999 + 8000 },
    });
    made.clock.advance(8001);
    port.dials[1]!.answer(UP);
    await settle();
    made.clock.advance(60_000);
    made.reconciler.down('gw.1', down('a', 2), 'peer-closed');
    expect(target.failures).toBe(1);
    expect([made.reconciler.connectionsLost, port.hangups.length]).toEqual([2, 0]);
  });

  it('is dialled again at once if its gateway stops or is gone', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = await running(made, port);
    made.reconciler.down('gw.1', down('a', 1, { gatewayStops: true }), 'stopping');
    expect([target.failures, port.dials.length, target.state.kind]).toEqual([0, 2, 'dialling']);
    port.dials[1]!.answer(UP);
    await settle();
    const other = made.gateway('other.1');
    made.gone('gw.1');
    expect([target.lastError, other.dials.length, target.failures]).toEqual(['its gateway is gone', 1, 0]);
    made.gone('other.1');
    expect([made.reconciler.connectionsLost, made.reconciler.attemptsFailed]).toEqual([2, 1]);
    // An attempt that failed, for whatever reason, is repeated after a pause.
    expect(target).toMatchObject({ state: { kind: 'waiting' }, lastError: 'its gateway is gone' });
    expect(made.reconciler.tables()).toMatchObject({ leftovers: 0 });
  });

  it('before its attempt is answered leaves nothing to hang up', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    made.reconciler.down('gw.1', down('a', 1), 'reset');
    expect(target).toMatchObject({ state: { kind: 'waiting' }, lastError: 'the connection was lost: reset' });
    expect([made.reconciler.attemptsFailed, port.hangups.length]).toEqual([1, 0]);
  });

  it('and was to be hung up leaves nothing', () => {
    const made = rig();
    made.is.mayDial = false;
    const port = made.gateway('gw.1');
    made.reconciler.want(made.target(), HOST);
    made.reconciler.up('gw.1', up('a', 3, { host: 'elsewhere' }));
    made.is.mayDial = true;
    made.reconciler.down('gw.1', down('a', 2), 'reset');
    expect(port.dials).toEqual([]);
    made.reconciler.down('gw.1', down('a', 3), 'reset');
    expect(port.dials).toHaveLength(1);
  });

  it('and is not the current one of its target, or has none, changes nothing', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = await running(made, port);
    for (const [gateway, was] of [
      ['gw.1', down('a', 2)],
      ['gw.1', down('a', 1, { epoch: EPOCH - 1 })],
      ['other.1', down('a', 1)],
      ['gw.1', down('nobody', 1)],
    ] as const) {
      made.reconciler.down(gateway, was, 'reset');
    }
    expect([target.state.kind, made.reconciler.connectionsLost, made.reconciler.size]).toEqual(['running', 0, 1]);
  });

  it('and is not wanted any more is not dialled again', () => {
    const made = rig();
    made.is.allHeard = false;
    made.gateway('gw.1');
    made.reconciler.up('gw.1', up('a', 1));
    made.reconciler.down('gw.1', down('a', 1), 'reset');
    expect(made.reconciler.tables()).toEqual({ ...IDLE, targets: 0 });
    expect(made.told.at(-1)).toBe('a: running > stopped');
  });
});

describe('a snapshot of a gateway', () => {
  it('without an established connection makes its target hang it up, as it may appear later, and dial again', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const [lost, kept] = [await running(made, port, 'a'), await running(made, port, 'b')];
    made.reconciler.snapshot('other.1', new Set());
    made.reconciler.snapshot('gw.1', new Set(['b']));
    expect([lost.state.kind, kept.state.kind]).toEqual(['waiting', 'running']);
    expect(lost.lastError).toBe('the connection was lost while its gateway could not be watched');
    expect(port.hangups.map(({ request }) => request)).toEqual([
      { owner: 'a', epoch: EPOCH, generation: 1, reason: 'not in the snapshot of its gateway' },
    ]);
    expect(made.reconciler.connectionsLost).toBe(1);
  });

  it('shows that the gateway can be reached: a waiting hang-up is ordered at once', async () => {
    const made = rig();
    const [port, other] = [made.gateway('gw.1'), made.gateway('other.1')];
    made.reconciler.up('gw.1', up('a', 1));
    made.reconciler.up('other.1', up('b', 1));
    for (const one of [port, other]) one.hangups[0]!.fail(new OrderError('unknown', 'away'));
    await settle();
    made.reconciler.snapshot('gw.1', new Set());
    expect([port.hangups.length, other.hangups.length]).toEqual([2, 1]);
  });

  it('does not shorten the pause of a target whose hang-up is due sooner', async () => {
    const made = rig({ retryFirst: 8000 });
    const port = made.gateway('gw.1');
    const target = await running(made, port);
    made.reconciler.snapshot('gw.1', new Set());
    port.hangups[0]!.fail(new OrderError('unknown', 'away'));
    await settle();
    made.clock.advance(HANGUP_RETRY_MS);
    expect([target.state.kind, port.hangups.length]).toEqual(['waiting', 2]);
    port.hangups[1]!.answer();
    await settle();
    expect(port.dials).toHaveLength(1);
    made.clock.advance(8000);
    expect(port.dials).toHaveLength(2);
  });

  it('starts the attempts that waited for a gateway', () => {
    const made = rig();
    made.reconciler.want(made.target(), HOST);
    const port = made.gateway('gw.1');
    made.reconciler.snapshot('gw.1', new Set());
    expect(port.dials).toHaveLength(1);
  });
});

describe('a gateway', () => {
  it('that continues under another id is shown so with its connections and attempts', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    await running(made, port, 'a');
    made.reconciler.want(made.target('b'), HOST);
    port.dials[1]!.fail(new OrderError('failed', 'no'));
    await settle();
    made.reconciler.want(made.target('c'), HOST);
    made.told.length = 0;
    made.reconciler.renamed('other.1');
    made.reconciler.renamed('gw.1');
    expect(made.told).toEqual(['a: running > running', 'c: dialling > dialling']);
    made.reconciler.close();
    made.reconciler.renamed('gw.1');
    expect(made.told).toHaveLength(2);
  });

  it('whose port is gone has no connections to hang up', () => {
    const made = rig();
    made.is.mayDial = false;
    made.is.mayOrder = false;
    made.gateway('gw.1');
    const other = made.gateway('other.1');
    made.reconciler.want(made.target(), HOST);
    made.reconciler.up('gw.1', up('a', 3, { host: 'elsewhere' }));
    made.is.mayDial = true;
    made.is.mayOrder = true;
    made.ports.delete('gw.1');
    made.live.delete('gw.1');
    made.clock.advance(HANGUP_RETRY_MS);
    expect(other.dials).toHaveLength(1);
    expect(made.reconciler.tables()).toMatchObject({ leftovers: 0 });
  });

  it('that is gone concerns only its own connections and attempts', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    await running(made, port, 'a');
    made.reconciler.want(made.target('b'), HOST);
    made.gone('other.1');
    expect([made.reconciler.connectionsLost, made.reconciler.attemptsFailed, made.reconciler.dialling]).toEqual([
      0, 0, 1,
    ]);
  });

  it('that is gone leaves nothing: its targets are dialled elsewhere', () => {
    const made = rig();
    made.is.mayDial = false;
    made.gateway('gw.1');
    const other = made.gateway('other.1');
    made.reconciler.want(made.target(), HOST);
    made.reconciler.up('gw.1', up('a', 3, { host: 'elsewhere' }));
    made.is.mayDial = true;
    made.gone('gw.1');
    expect(other.dials).toHaveLength(1);
    expect(made.reconciler.tables()).toMatchObject({ leftovers: 0 });
  });
});

describe('without a valid lease', () => {
  it('nothing is ordered; a hang-up is ordered within a second after the lease is valid again', () => {
    const made = rig();
    made.is.mayOrder = false;
    const port = made.gateway('gw.1');
    made.reconciler.want(made.target(), HOST);
    made.reconciler.up('gw.1', up('a', 3, { host: 'elsewhere' }));
    made.clock.advance(5000);
    expect([port.hangups.length, port.dials.length, made.reconciler.hangups]).toEqual([0, 0, 0]);
    made.is.mayOrder = true;
    made.clock.advance(HANGUP_RETRY_MS);
    expect(port.hangups).toHaveLength(1);
  });

  it('a waiting hang-up is ordered when orders are allowed again, if it is due', () => {
    const made = rig();
    made.is.mayOrder = false;
    const port = made.gateway('gw.1');
    made.reconciler.up('gw.1', up('a', 3));
    made.is.mayOrder = true;
    made.reconciler.resume();
    expect(port.hangups).toEqual([]);
    made.clock.advance(HANGUP_RETRY_MS);
    made.reconciler.resume();
    expect(port.hangups).toHaveLength(1);
  });

  it('an attempt whose pause is over waits for the lease', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    const target = made.target();
    made.reconciler.want(target, HOST);
    port.dials[0]!.fail(new OrderError('failed', 'no'));
    await settle();
    made.is.mayOrder = false;
    made.clock.advance(5000);
    expect([target.state.kind, port.dials.length]).toEqual(['ready', 1]);
    made.is.mayOrder = true;
    made.reconciler.resume();
    expect(port.dials).toHaveLength(2);
  });
});

describe('a term that is over', () => {
  it('orders and reports nothing more, and leaves established connections alone', async () => {
    const made = rig();
    const port = made.gateway('gw.1');
    await running(made, port, 'a');
    made.reconciler.want(made.target('b'), HOST);
    port.dials[1]!.fail(new OrderError('failed', 'no'));
    await settle();
    made.reconciler.want(made.target('c'), HOST);
    made.is.mayDial = false;
    made.reconciler.want(made.target('d'), HOST);
    made.is.mayDial = true;
    made.told.length = 0;
    made.reconciler.close();
    expect(made.reconciler.tables()).toMatchObject({ timers: 0, due: 0, principalsThatWait: 0, dialling: 1 });
    expect(made.clock.pending).toBe(0);
    port.dials[2]!.answer(UP);
    await settle();
    made.reconciler.resume();
    made.clock.advance(60_000);
    expect([made.told, port.dials.length, port.hangups.length]).toEqual([[], 3, 0]);
  });
});
