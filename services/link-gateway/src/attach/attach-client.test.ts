import { once } from 'node:events';
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import { append, StateChangeParts } from '@spanmesh/proto/state-change';
import {
  type AttachRequest,
  type AttachResponse,
  Commands,
  GatewayControlService,
  RefusalReason,
  StateChange,
} from '@spanmesh/proto/v1/gateway_control';
import { LEASES_BUCKET, TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { type Clock, systemClock } from '@spanmesh/runtime/clock';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { type Job, UNITS_PER_TURN } from '@spanmesh/runtime/grpc/slices';
import { encodeLeaseRecord } from '@spanmesh/runtime/lease/lease-record';
import { createLogger } from '@spanmesh/runtime/log/logger';
import type { Step, Tracer } from '@spanmesh/runtime/trace/step';
import { TRACE_CONTEXT_BYTES } from '@spanmesh/runtime/trace/trace-context';

import { afterEach, describe, expect, it, vi } from 'vitest';
import { PART_BYTES } from '../limits.ts';
import type { Link } from '../peers/peer.ts';
import { DELTA_BYTES, MAX_DELTAS_UNDER_WAY } from '../shares/limits.ts';
import {
  AttachClient,
  FIRST_BACKOFF_MS,
  MAX_BACKOFF_MS,
  MAX_PENDING_BYTES,
  OBEYED_MS,
  STATUS_MS,
} from './attach-client.ts';
import type { AttachHost } from './attach-host.ts';
import { Reports } from './reports.ts';
import { TopologyLocator } from './topology-locator.ts';

type ServerStream = ServerDuplexStream<AttachRequest, AttachResponse>;

const logger = createLogger({ level: 'silent', service: 'test' });
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A leader that does what the test says. */
class Leader {
  readonly streams: {
    readonly stream: ServerStream;
    readonly requests: AttachRequest[];
    readonly ended: () => boolean;
  }[] = [];
  address = '';
  answersGoodbye = true;
  #waiting: (() => void)[] = [];

  async start(): Promise<void> {
    const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(GatewayControlService, { attach: (stream: ServerStream) => this.#accept(stream) });
    this.address = `127.0.0.1:${await server.start()}`;
    cleanups.push(() => server.stop(0));
  }

  /** Resolves when the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  notify(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The stream that came as number `count`, once its Hello is there. */
  async stream(count: number) {
    await this.until(() => this.streams.length >= count && this.streams[count - 1]!.requests.length > 0);
    return this.streams[count - 1]!;
  }

  #accept(stream: ServerStream): void {
    const requests: AttachRequest[] = [];
    let ended = false;
    this.streams.push({ stream, requests, ended: () => ended });
    stream.on('data', (request: AttachRequest) => {
      requests.push(request);
      this.notify();
    });
    stream.on('end', () => {
      ended = true;
      if (this.answersGoodbye) stream.end();
      this.notify();
    });
    stream.on('error', () => {});
  }
}

/** A command to probe the connection of this number makes the host throw. */
const POISON = 666;

/** Cuts the snapshot that the test gives, and writes down in `happened` what it was asked for. */
class Host implements AttachHost {
  readonly identity = { name: 'a', boot: '0123abcd', firstBoot: '0123abcd', version: '1.2.3', serviceAddress: 'a:1' };
  readonly gatewaysKnown: string[] = [];
  readonly happened: string[] = [];
  parts: StateChange[] = [];
  /** Turns of the event loop that its snapshot takes. */
  slices = 0;
  readonly commands: Commands[] = [];
  lastNumber = 0;
  onEvent = () => {};

  welcomed(epoch: number, rnssAdd: number): void {
    this.happened.push(`welcomed ${epoch} ${rnssAdd}`);
    this.onEvent();
  }

  *snapshot(): Job<StateChange[]> {
    this.happened.push('snapshot');
    const whole = StateChange.create();
    for (const part of this.parts) append(whole, part);
    const parts = new StateChangeParts(PART_BYTES);
    parts.putAll(whole);
    for (let i = 0; i < this.slices; i++) {
      this.happened.push(`slice ${i}`);
      yield UNITS_PER_TURN;
      this.onEvent();
    }
    return parts.all;
  }

  declaredDead(): void {
    this.happened.push('declared dead');
    this.identity.boot = '89abcdef';
    this.onEvent();
  }

  *applying(commands: Commands): Job<void> {
    if (commands.probe.includes(POISON)) throw new Error('poison');
    this.happened.push(`apply ${commands.epoch} ${commands.n}`);
    this.commands.push(commands);
    this.onEvent();
    // A slice for each relay, so long that it takes a turn of the event loop.
    for (const { link } of commands.relays) {
      yield UNITS_PER_TURN;
      this.happened.push(`relay ${link}`);
      this.onEvent();
    }
  }
}

async function setup({
  clock = systemClock,
  own = 1,
  tracer = null,
}: {
  clock?: Clock;
  own?: number;
  tracer?: Tracer | null;
} = {}) {
  const leader = new Leader();
  await leader.start();
  const host = new Host();
  host.onEvent = () => leader.notify();
  const { identity } = host;
  const rule = new ProtocolRule({ own }, { logger, clock });
  const addresses: string[] = [leader.address];
  const bus = new InProcessBus({
    onError: (error) => {
      throw error;
    },
  });
  const locator = new TopologyLocator({ addresses: () => addresses }, { bus, clock });
  locator.start();
  /** Lets the lease name this address. */
  const lease = async (address: string, epoch: number) => {
    const changed = new Promise<void>((resolve) => locator.onChange(resolve));
    const kv = await bus.kv(LEASES_BUCKET);
    await kv.put(
      TOPOLOGY_ROLE,
      encodeLeaseRecord({ holder: address, address, epoch, ttl: 1000, settings: '', beat: 0 }),
    );
    await changed;
  };
  const reports = new Reports();
  const log: Record<string, unknown>[] = [];
  const lines = createLogger({
    level: 'info',
    service: 'test',
    destination: { write: (line: string) => void log.push(JSON.parse(line)) },
  });
  const client = new AttachClient(
    { installation: 'here' },
    { clock, logger: lines, host, reports, locator, random: () => 0, protocol: rule, tracing: { tracer } },
  );
  locator.onChange(() => client.leaderChanged());
  cleanups.push(() => client.stop());
  return { lease, leader, host, client, reports, identity, rule, addresses, locator, log };
}

const link = (id: number) => ({
  id,
  connection: 1,
  payload: Buffer.alloc(384),
  stamp: id,
  msgidLo: id,
  msgidHi: 0,
  sinceUs: id,
});
const payload = Buffer.alloc(384);
/** A link of the gateway, with the fields that reports read. */
const opened = (id: number) =>
  ({ id, peer: { id: 1 }, source: { payload }, stamp: id, tx: { msgidLo: id, msgidHi: 0 }, sinceUs: id }) as Link;
const commands = (epoch: number, n: number) => Commands.fromPartial({ epoch, n, probe: [n] });

/** Attached, with an empty snapshot. */
async function attached({ tellsTaken = false, clock = systemClock }: { tellsTaken?: boolean; clock?: Clock } = {}) {
  const all = await setup({ clock });
  all.client.start();
  const { stream, requests } = await all.leader.stream(1);
  stream.write({ welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken } });
  await all.leader.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
  requests.length = 0;
  return { ...all, stream, requests };
}

describe('the version of the leader', () => {
  it.each([
    [5, 4],
    [5, 5],
    [5, 6],
    [1, 0],
  ])('we speak %i, it speaks %i: welcome', async (own, theirs) => {
    const { leader, client } = await setup({ own });
    client.start();
    const { stream, requests } = await leader.stream(1);
    expect(requests[0]!.hello?.protocolVersion).toBe(own);
    stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: theirs, replicas: [], tellsTaken: false },
    });
    await leader.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect(client.attached).toBe(true);
  });

  it.each([3, 7, 0])(
    'we speak 5, it speaks %i: nothing is told, and attempts follow after growing pauses',
    async (theirs) => {
      const clock = new FakeClock();
      const { leader, client, host, rule } = await setup({ own: 5, clock });
      client.start();
      let pause = FIRST_BACKOFF_MS;
      for (let attempt = 1; attempt <= 8; attempt++) {
        const { stream, requests } = await leader.stream(attempt);
        stream.write({
          welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: theirs, replicas: [], tellsTaken: false },
        });
        await expect.poll(() => rule.refused.leader).toBe(attempt);
        expect(requests).toHaveLength(1);
        clock.advance(pause - 1);
        expect(leader.streams).toHaveLength(attempt);
        clock.advance(1);
        pause = Math.min(2 * pause, MAX_BACKOFF_MS);
      }
      expect(pause).toBe(MAX_BACKOFF_MS);
      expect([client.attachedOnce, client.epoch, host.happened]).toEqual([false, 0, []]);
    },
  );
});

describe('attaching', () => {
  // Limits: link-gateway/src/limits.ts PART_BYTES
  it('says who it is, and after Welcome everything that is open, in parts', async () => {
    const { leader, host, client } = await setup();
    const { firstBoot: _, ...identity } = host.identity;
    const part = StateChange.create();
    for (let id = 1; id <= 6000; id++) part.linksOpened.push(link(id));
    host.parts = [part, StateChange.fromPartial({ connectionsOpened: [{ id: 1 }] })];
    client.start();
    const { stream, requests } = await leader.stream(1);
    expect(requests[0]!.hello).toEqual({
      ...identity,
      highestEpoch: 0,
      capabilities: ['drain'],
      protocolVersion: 1,
      installation: 'here',
      gatewaysKnown: [],
    });
    expect(client.attachedOnce).toBe(false);
    stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect(host.happened).toEqual(['welcomed 3 7', 'snapshot']);
    const parts = requests.slice(1, -1).map(({ snapshot }) => snapshot!);
    expect(parts.length).toBeGreaterThan(2);
    for (const one of parts) expect(StateChange.encode(one).finish().length).toBeLessThanOrEqual(PART_BYTES);
    expect(parts.flatMap(({ linksOpened }) => linksOpened).map(({ id }) => id)).toEqual(
      part.linksOpened.map(({ id }) => id),
    );
    expect(parts[0]!.connectionsOpened.map(({ id }) => id)).toEqual([1]);
    expect([client.attachedOnce, client.epoch]).toEqual([true, 3]);
  });

  it('leaves a silent leader as soon as the lease names another, without a word from the former', async () => {
    const old = await attached();
    const next = new Leader();
    await next.start();
    old.host.onEvent = () => next.notify();
    await old.lease(old.leader.address, 3);
    expect(old.client.attached).toBe(true);
    await old.lease(next.address, 4);
    const { stream, requests } = await next.stream(1);
    expect(requests[0]!.hello).toMatchObject({ highestEpoch: 3 });
    stream.write({
      welcome: { epoch: 4, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await next.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect([old.client.attached, old.client.epoch]).toEqual([true, 4]);
    // Commands of the former leader are not obeyed.
    old.stream.write({ commands: commands(3, 1) });
    stream.write({ commands: commands(4, 1) });
    await next.until(() => old.host.commands.length > 0);
    expect(old.host.commands.map(({ epoch }) => epoch)).toEqual([4]);
  });

  it('does not wait for its pause to be over when the lease names another leader', async () => {
    const { leader, client, addresses, lease } = await setup({ clock: new FakeClock() });
    addresses.length = 0;
    client.start();
    await lease(leader.address, 1);
    await leader.stream(1);
  });

  it('leaves out of the deltas what the snapshot has', async () => {
    const { leader, client, host, reports } = await setup();
    reports.linkOpened(opened(1));
    client.start();
    const { stream, requests } = await leader.stream(1);
    reports.linkOpened(opened(2));
    host.parts = [StateChange.fromPartial({ linksOpened: [link(1), link(2)] })];
    stream.write({
      welcome: { epoch: 1, rnssAdd: 0, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    reports.tell('linksClosed', 1);
    await leader.until(() => requests.some(({ delta }) => delta !== undefined));
    const [delta] = requests.flatMap((request) => request.delta ?? []);
    expect([delta!.linksOpened, delta!.linksClosed]).toEqual([[], [1]]);
  });

  it('tells after the snapshot what changed while it was cut, and obeys commands after it', async () => {
    const { leader, client, host, reports } = await setup();
    host.slices = 3;
    host.lastNumber = 7;
    client.start();
    const { stream, requests } = await leader.stream(1);
    host.onEvent = () => {
      if (host.happened.at(-1) !== 'slice 1' || host.lastNumber > 7) return;
      host.lastNumber = 9;
      reports.linkOpened(opened(9));
      // A leader should wait for the end of the snapshot; this one does not.
      stream.write({ commands: commands(3, 1) });
    };
    stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => requests.some(({ delta }) => delta?.obeyed === 1));
    const [, snapshot, end, ...deltas] = requests;
    expect([snapshot?.snapshot?.lastNumber, end?.snapshotEnd]).toEqual([7, {}]);
    expect(deltas.flatMap(({ delta }) => delta?.linksOpened ?? []).map(({ id }) => id)).toEqual([9]);
    expect(deltas[0]?.delta?.lastNumber).toBe(9);
    const order = ['welcomed 3 7', 'snapshot', 'slice 0', 'slice 1', 'slice 2', 'apply 3 1'];
    expect(host.happened).toEqual(order);
  });

  it('gives up a half-cut snapshot when its stream ends, and cuts another for the next stream', async () => {
    const clock = new FakeClock();
    const { leader, client, host } = await setup({ clock });
    host.slices = 3;
    client.start();
    const first = await leader.stream(1);
    host.onEvent = () => leader.notify();
    first.stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => host.happened.includes('slice 0'));
    await client.stop();
    client.start();
    const { stream, requests } = await leader.stream(2);
    stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect(host.happened.filter((what) => what === 'snapshot')).toHaveLength(2);
  });

  it('tries again with growing pauses while there is no leader', async () => {
    const delays: number[] = [];
    const due: (() => void)[] = [];
    const clock: Clock = {
      now: () => 0,
      wall: () => 0,
      after: (ms, fn) => {
        delays.push(ms);
        due.push(fn);
        return { cancel: () => {} };
      },
    };
    const { client, addresses } = await setup({ clock });
    addresses.length = 0;
    client.start();
    for (let i = 0; i < 9; i++) due.shift()!();
    expect(delays[0]).toBe(FIRST_BACKOFF_MS);
    expect(delays[1]).toBe(2 * FIRST_BACKOFF_MS);
    expect(delays.slice(-3)).toEqual([MAX_BACKOFF_MS, MAX_BACKOFF_MS, MAX_BACKOFF_MS]);
  });

  it('reads the addresses of the setting anew for each attempt', async () => {
    const { leader, client, addresses } = await setup();
    addresses[0] = '127.0.0.1:1';
    client.start();
    addresses[0] = leader.address;
    await leader.stream(1);
    expect(leader.streams).toHaveLength(1);
  });

  it('attaches anew with a whole snapshot when the stream breaks, and says how far it has obeyed', async () => {
    const { leader, stream, client, host } = await attached();
    stream.write({ commands: commands(3, 5) });
    await leader.until(() => host.commands.length === 1);
    stream.emit('error', Object.assign(new Error('gone'), { code: status.ABORTED }));
    const again = await leader.stream(2);
    expect(again.requests[0]!.hello!.highestEpoch).toBe(3);
    host.parts = [StateChange.fromPartial({ linksOpened: [link(9)] })];
    again.stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => again.requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    const parts = again.requests.flatMap(({ snapshot }) => snapshot ?? []);
    expect(parts.flatMap(({ linksOpened }) => linksOpened).map(({ id }) => id)).toEqual([9]);
    expect(Math.max(...parts.map(({ obeyed }) => obeyed))).toBe(5);
    expect(client.attached).toBe(true);
  });

  it('has obeyed nothing yet under a new epoch', async () => {
    const { leader, stream, host } = await attached();
    stream.write({ commands: commands(3, 5) });
    await leader.until(() => host.commands.length === 1);
    stream.end();
    const again = await leader.stream(2);
    again.stream.write({
      welcome: { epoch: 4, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => again.requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect(again.requests.flatMap(({ snapshot }) => snapshot ?? []).map(({ obeyed }) => obeyed)).toEqual([0]);
  });

  it('does not take a leader of a lower epoch', async () => {
    const { leader, stream, client, host } = await attached();
    stream.end();
    const again = await leader.stream(2);
    again.stream.write({
      welcome: { epoch: 2, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    const third = await leader.stream(3);
    expect(third.requests[0]!.hello!.highestEpoch).toBe(3);
    expect(client.epoch).toBe(3);
    expect(host.happened).toEqual(['welcomed 3 7', 'snapshot']);
  });
});

describe('deltas under way', () => {
  const linksIn = (requests: readonly AttachRequest[]) =>
    requests.flatMap(({ delta }) => delta?.linksOpened ?? []).map(({ id }) => id);
  /** Most encoded bytes of deltas under way that a new span of an honest peer waits behind. */
  const MOST_AHEAD = MAX_DELTAS_UNDER_WAY * DELTA_BYTES;

  // Limits: shares/limits.ts DELTA_BYTES, shares/limits.ts MAX_DELTAS_UNDER_WAY
  it('are few until the leader has taken them in: the rest waits where connections can be slowed', async () => {
    const { leader, stream, reports, requests } = await attached({ tellsTaken: true });
    for (let id = 1; id <= 1000; id++) reports.linkOpened(opened(id));
    await leader.until(() => requests.length === MAX_DELTAS_UNDER_WAY);
    const bytes = () => requests.reduce((sum, { delta }) => sum + StateChange.encode(delta!).finish().length, 0);
    expect(bytes()).toBeLessThanOrEqual(MOST_AHEAD);
    // A change in the meantime is not sent, however many turns of the event loop go by.
    reports.linkOpened(opened(1001));
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect([requests.length, reports.bytes > 0]).toEqual([MAX_DELTAS_UNDER_WAY, true]);
    // Each delta that is taken in lets one more go, until all changes have gone, in order. The leader tells it in a
    // message of its own or with commands.
    for (let taken = 1; linksIn(requests).length < 1001; taken++) {
      const before = requests.length;
      if (taken % 2 === 1) stream.write({ taken: { deltas: taken } });
      else stream.write({ commands: { ...Commands.create(), epoch: 3, n: taken, taken } });
      await leader.until(() => requests.length > before);
      expect(requests.length - taken).toBeLessThanOrEqual(MAX_DELTAS_UNDER_WAY);
    }
    expect(linksIn(requests)).toEqual(Array.from({ length: 1001 }, (_, i) => i + 1));
  });

  // Limits: attach/attach-client.ts MAX_PENDING_BYTES
  it('wait up to a bound; past it a snapshot is cheaper, and the stream begins anew', async () => {
    const { leader, client, reports } = await attached({ tellsTaken: true });
    const turns = async () => {
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    let id = 0;
    const fill = (bytes: number) => {
      for (let cost = 0; reports.bytes + cost <= bytes; id++) {
        const before = reports.bytes;
        reports.linkOpened(opened(id));
        cost = reports.bytes - before;
      }
    };
    // A part of the first half is sent.
    fill(MAX_PENDING_BYTES / 2);
    await turns();
    fill(MAX_PENDING_BYTES);
    await turns();
    expect([leader.streams.length, client.attachedOnce]).toEqual([1, true]);
    fill(MAX_PENDING_BYTES + 10_000);
    await leader.stream(2);
    expect(reports.bytes).toBe(0);
  });

  it('are of changes: which commands were obeyed is told with one, also when commands make room for more', async () => {
    const clock = new FakeClock();
    const { leader, stream, reports, requests, host } = await attached({ tellsTaken: true, clock });
    for (let id = 1; id <= MAX_DELTAS_UNDER_WAY; id++) {
      reports.linkOpened(opened(id));
      await leader.until(() => requests.length === id);
    }
    stream.write({ commands: { ...commands(3, 1), taken: MAX_DELTAS_UNDER_WAY } });
    await leader.until(() => host.commands.length === 1);
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(requests).toHaveLength(MAX_DELTAS_UNDER_WAY);
    reports.linkOpened(opened(1000));
    await leader.until(() => requests.length > MAX_DELTAS_UNDER_WAY);
    expect(requests.at(-1)?.delta).toMatchObject({ obeyed: 1, linksOpened: [{ id: 1000 }] });
    // Without a change it is told after a time.
    stream.write({ commands: { ...commands(3, 2), taken: MAX_DELTAS_UNDER_WAY + 1 } });
    await leader.until(() => host.commands.length === 2);
    clock.advance(OBEYED_MS);
    await leader.until(() => requests.length > MAX_DELTAS_UNDER_WAY + 1);
    expect(requests.at(-1)?.delta).toMatchObject({ obeyed: 2, linksOpened: [] });
  });

  it('are as many as the stream takes when the leader does not tell what it has taken in', async () => {
    const { leader, reports, requests } = await attached();
    for (let id = 1; id <= 1000; id++) reports.linkOpened(opened(id));
    await leader.until(() => linksIn(requests).length === 1000);
    expect(requests.length).toBeGreaterThan(MAX_DELTAS_UNDER_WAY);
  });

  it('are all sent when the gateway leaves, even if none is taken in', async () => {
    const { client, leader, reports, requests } = await attached({ tellsTaken: true });
    for (let id = 1; id <= 1000; id++) reports.linkOpened(opened(id));
    await leader.until(() => requests.length === MAX_DELTAS_UNDER_WAY);
    await client.stop();
    expect(linksIn(requests)).toHaveLength(1000);
  });
});

/** Refuses the gateway, as a leader does. */
function refuse(stream: ServerStream, reason: RefusalReason, leaderAddress = '', details = 'refused'): void {
  stream.write({ refused: { reason, leaderAddress } });
  stream.emit('error', Object.assign(new Error(details), { code: status.FAILED_PRECONDITION, details }));
}

/**
 * Resolves once the next timer is due in `ms`: the pause before the next round, the shortest time that is waited for.
 */
function pausing(clock: FakeClock, ms: number): Promise<void> {
  return expect.poll(() => clock.nextAt()! - clock.now()).toBe(ms);
}

async function otherLeader(): Promise<Leader> {
  const other = new Leader();
  await other.start();
  return other;
}

describe('a gateway that is not taken on', () => {
  it('goes at once to the leader that a replica names', async () => {
    const { leader, client, addresses, log } = await setup({ clock: new FakeClock() });
    const [second, third] = [await otherLeader(), await otherLeader()];
    addresses.push(second.address);
    client.start();
    refuse((await leader.stream(1)).stream, RefusalReason.REFUSAL_REASON_NOT_LEADER, third.address);
    const { stream } = await third.stream(1);
    stream.write({
      welcome: { epoch: 3, rnssAdd: 0, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await expect.poll(() => client.attached).toBe(true);
    expect([second.streams.length, client.refused, log.filter(({ level }) => level === 'warn')]).toEqual([0, null, []]);
  });

  it('asks all replicas in turn, without a lease, and pauses only when it has asked all', async () => {
    const clock = new FakeClock();
    const { leader, client, addresses } = await setup({ clock });
    const others = [await otherLeader(), await otherLeader()];
    addresses.push(...others.map(({ address }) => address));
    client.start();
    for (const one of [leader, ...others]) {
      refuse((await one.stream(1)).stream, RefusalReason.REFUSAL_REASON_NOT_LEADER);
    }
    await pausing(clock, FIRST_BACKOFF_MS);
    clock.advance(FIRST_BACKOFF_MS);
    await leader.stream(2);
    expect(others.map(({ streams }) => streams.length)).toEqual([1, 1]);
  });

  it('asks the replicas that the last leader named, when that leader is gone and no lease can be read', async () => {
    const { client, leader, stream } = await attached();
    const next = await otherLeader();
    stream.write({ commands: { ...commands(3, 1), replicas: [leader.address, next.address] } });
    await expect.poll(() => client.attached).toBe(true);
    stream.end();
    refuse((await leader.stream(2)).stream, RefusalReason.REFUSAL_REASON_NOT_LEADER);
    const { requests } = await next.stream(1);
    expect(requests[0]!.hello!.highestEpoch).toBe(3);
  });

  it('takes another boot id when it was declared dead, and says so to the same leader', async () => {
    const { leader, stream, client, host } = await attached();
    stream.write({ commands: commands(3, 5) });
    await leader.until(() => host.commands.length === 1);
    stream.end();
    const again = await leader.stream(2);
    expect(again.requests[0]!.hello!.boot).toBe('0123abcd');
    refuse(again.stream, RefusalReason.REFUSAL_REASON_DECLARED_DEAD);
    const third = await leader.stream(3);
    expect(third.requests[0]!.hello).toMatchObject({ boot: '89abcdef', highestEpoch: 3 });
    expect(host.happened.filter((what) => what === 'declared dead')).toHaveLength(1);
    third.stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => third.requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    // Commands obeyed under the former boot id do not count for the new one.
    expect(third.requests.flatMap(({ snapshot }) => snapshot ?? []).map(({ obeyed }) => obeyed)).toEqual([0]);
    expect(client.refused).toBeNull();
  });

  // Causes: line not attached to topology
  it.each([
    [RefusalReason.REFUSAL_REASON_NAME_TAKEN, /SPANMESH_GATEWAY_NAME/],
    [RefusalReason.REFUSAL_REASON_OTHER_INSTALLATION, /SPANMESH_INSTALLATION/],
    [RefusalReason.REFUSAL_REASON_VERSION, /upgrade/],
    [RefusalReason.REFUSAL_REASON_EPOCH, /clock/],
    [RefusalReason.REFUSAL_REASON_TOO_MANY, /limits/],
    [RefusalReason.REFUSAL_REASON_NOT_ALLOWED, /certificate/],
    [RefusalReason.REFUSAL_REASON_UNSPECIFIED, /upgrade/],
  ])('logs once the reason, the advice and the address of the replica (%i)', async (reason, advice) => {
    const clock = new FakeClock();
    const { leader, client, host, log } = await setup({ clock });
    client.start();
    for (let attempt = 1; attempt <= 3; attempt++) {
      refuse((await leader.stream(attempt)).stream, reason, '', 'This is why.');
      await expect.poll(() => client.refused?.reason).toBe(reason);
      const pause = FIRST_BACKOFF_MS * 2 ** (attempt - 1);
      await pausing(clock, pause);
      clock.advance(pause);
    }
    const told = { by: leader.address, why: 'This is why.', advice: expect.stringMatching(advice) };
    expect(client.refused).toMatchObject(told);
    const lines = log.filter(({ topology }) => topology === leader.address);
    expect(lines).toMatchObject([
      { level: 'warn', msg: 'not attached to topology', details: 'This is why.', advice: told.advice },
    ]);
    expect([client.attachedOnce, host.happened]).toEqual([false, []]);
    const { stream } = await leader.stream(4);
    stream.write({
      welcome: { epoch: 3, rnssAdd: 0, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await expect.poll(() => client.attached).toBe(true);
    expect(client.refused).toBeNull();
  });

  it('has a text of its own for the reason when no status follows the refusal', async () => {
    const clock = new FakeClock();
    const { leader, client } = await setup({ clock });
    client.start();
    const { stream } = await leader.stream(1);
    stream.write({ refused: { reason: RefusalReason.REFUSAL_REASON_NAME_TAKEN, leaderAddress: '' } });
    await pausing(clock, STATUS_MS);
    clock.advance(STATUS_MS);
    await pausing(clock, FIRST_BACKOFF_MS);
    expect(client.refused!.why).toMatch(/another gateway of this name/);
  });

  it('names in Hello the other gateways that it knows', async () => {
    const { leader, client, host } = await setup();
    host.gatewaysKnown.push('b.00000002', 'c.00000003');
    client.start();
    const { requests } = await leader.stream(1);
    expect(requests[0]!.hello!.gatewaysKnown).toEqual(['b.00000002', 'c.00000003']);
  });
});

describe('a message of the leader', () => {
  it('that makes the gateway throw costs the stream only, and is logged; a whole snapshot follows', async () => {
    const clock = new FakeClock();
    const { leader, client, host, log } = await setup({ clock });
    client.start();
    const { stream } = await leader.stream(1);
    stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    stream.write({ commands: { ...commands(3, 1), probe: [POISON] } });
    await pausing(clock, MAX_BACKOFF_MS);
    expect(log.filter(({ level }) => level === 'error')).toMatchObject([{ topology: leader.address }]);
    clock.advance(MAX_BACKOFF_MS);
    const again = await leader.stream(2);
    again.stream.write({
      welcome: { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false },
    });
    await leader.until(() => again.requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect(host.commands).toEqual([]);
    // The commands that made the host throw were not obeyed.
    expect(again.requests.flatMap(({ snapshot }) => snapshot ?? []).at(-1)!.obeyed).toBe(0);
  });

  it('takes turns if it is large: the next one waits, and what is left when the stream ends is not done', async () => {
    const clock = new FakeClock();
    const { leader, client, host } = await setup({ clock });
    client.start();
    const { stream } = await leader.stream(1);
    const welcome = { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false };
    stream.write({ welcome });
    const relays = (...links: number[]) => links.map((link) => ({ gateway: '', link, open: [1], close: [] }));
    stream.write({ commands: { ...commands(3, 1), relays: relays(1, 2, 3) } });
    stream.write({ commands: commands(3, 2) });
    await leader.until(() => host.happened.includes('apply 3 2'));
    const inOrder = ['apply 3 1', 'relay 1', 'relay 2', 'relay 3', 'apply 3 2'];
    expect(host.happened.slice(-5)).toEqual(inOrder);
    const many = Array.from({ length: 10_000 }, (_, i) => 10 + i);
    stream.write({ commands: { ...commands(3, 3), relays: relays(...many) } });
    stream.write({ commands: commands(3, 4) });
    await leader.until(() => host.happened.includes('relay 12'));
    client.leaderChanged();
    stream.end();
    await pausing(clock, FIRST_BACKOFF_MS);
    const done = host.happened.length;
    clock.advance(FIRST_BACKOFF_MS);
    const again = await leader.stream(2);
    again.stream.write({ welcome });
    await leader.until(() => again.requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    expect(host.happened.slice(done)).toEqual(['welcomed 3 7', 'snapshot']);
    expect(again.requests.flatMap(({ snapshot }) => snapshot ?? []).at(-1)!.obeyed).toBe(2);
    expect(host.happened).not.toContain(`relay ${many.at(-1)}`);
  });

  it('may have an epoch up to the largest safe integer', async () => {
    const { leader, client } = await setup();
    client.start();
    const { stream } = await leader.stream(1);
    const epoch = Number.MAX_SAFE_INTEGER - 1;
    stream.write({ welcome: { epoch, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false } });
    await expect.poll(() => client.epoch).toBe(epoch);
    stream.end();
    expect((await leader.stream(2)).requests[0]!.hello!.highestEpoch).toBe(epoch);
  });
});

describe('while attached', () => {
  it('sends one delta for each turn of the event loop', async () => {
    const { leader, reports, requests } = await attached();
    for (const id of [1, 2, 3]) reports.tell('linksClosed', id);
    await leader.until(() => requests.length > 0);
    reports.tell('linksClosed', 4);
    await leader.until(() => requests.length > 1);
    expect(requests.map(({ delta }) => delta?.linksClosed)).toEqual([[1, 2, 3], [4]]);
  });

  it('hands on commands of its epoch only, in order', async () => {
    const { leader, stream, host } = await attached();
    for (const [epoch, n] of [
      [3, 1],
      [2, 2],
      [4, 3],
      [3, 4],
    ] as const)
      stream.write({ commands: commands(epoch, n) });
    await leader.until(() => host.commands.length === 2);
    expect(host.happened.slice(2)).toEqual(['apply 3 1', 'apply 3 4']);
  });

  it('says what it has obeyed, with the next delta or soon without one', async () => {
    const { leader, stream, host, reports, requests } = await attached();
    stream.write({ commands: commands(3, 1) });
    await leader.until(() => host.commands.length === 1);
    reports.tell('linksClosed', 1);
    await leader.until(() => requests.length === 1);
    stream.write({ commands: commands(3, 2) });
    await leader.until(() => requests.length === 2);
    expect(requests.map(({ delta }) => [delta!.linksClosed.length, delta!.obeyed])).toEqual([
      [1, 1],
      [0, 2],
    ]);
  });

  it('divides a large delta', async () => {
    const { leader, reports, requests } = await attached();
    for (let id = 1; id <= 6000; id++) reports.linkOpened(opened(id));
    const told = () => requests.flatMap(({ delta }) => delta?.linksOpened ?? []);
    await leader.until(() => told().length === 6000);
    expect(requests.length).toBeGreaterThan(1);
  });

  it('waits while the leader does not read, and loses nothing', async () => {
    const { leader, reports, stream, requests } = await attached();
    stream.pause();
    let id = 0;
    for (let turn = 0; turn < 40; turn++) {
      for (let i = 0; i < 200; i++) reports.linkOpened(opened(++id));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    stream.resume();
    const told = () => requests.flatMap(({ delta }) => delta?.linksOpened ?? []);
    await leader.until(() => told().length === id);
    expect(told().map((one) => one.id)).toEqual(Array.from({ length: id }, (_, i) => i + 1));
  });

  it('attaches anew when too much waits for a leader that does not read', async () => {
    const { leader, reports, stream } = await attached();
    stream.pause();
    const pushing = setInterval(() => {
      for (let id = 1; id <= 20_000; id++) reports.linkOpened(opened(id));
    }, 1);
    cleanups.push(() => clearInterval(pushing));
    const again = await leader.stream(2);
    clearInterval(pushing);
    expect(again.requests[0]!.hello).toBeDefined();
    // Changes are not kept until the next Welcome.
    expect([reports.isHeard, reports.bytes]).toEqual([false, 0]);
  });
});

describe('stopping', () => {
  it('sends the last delta, closes our side, and waits for the leader to end its own', async () => {
    const { leader, client, reports, requests, stream } = await attached();
    leader.answersGoodbye = false;
    reports.tell('connectionsClosed', 1);
    const stopped = vi.fn();
    const stopping = client.stop().then(stopped);
    await leader.until(() => leader.streams[0]!.ended());
    expect(requests.flatMap(({ delta }) => delta?.connectionsClosed ?? [])).toEqual([1]);
    expect(stopped).not.toHaveBeenCalled();
    stream.end();
    await stopping;
    expect(client.attached).toBe(false);
  });

  it('does not wait for ever', async () => {
    const { leader, client } = await attached();
    leader.answersGoodbye = false;
    await client.stop();
    expect(client.attached).toBe(false);
  });

  it('makes no further attempt', async () => {
    const clock = new FakeClock();
    const { client, addresses } = await setup({ clock });
    addresses.length = 0;
    const { pending } = clock;
    client.start();
    expect(clock.pending).toBe(pending + 1);
    const stopping = client.stop();
    expect(clock.pending).toBe(pending);
    await stopping;
  });

  it('ends an attempt that is under way', async () => {
    const { leader, client } = await setup();
    client.start();
    const { stream } = await leader.stream(1);
    const cancelled = once(stream, 'cancelled');
    await client.stop();
    await cancelled;
    expect(leader.streams).toHaveLength(1);
  });
});

describe('the trace of an attach', () => {
  it('is a step of the trace of the leader, from Welcome until the snapshot is written or the stream has ended', async () => {
    const begun: unknown[] = [];
    const ended: unknown[] = [];
    const context = Buffer.alloc(TRACE_CONTEXT_BYTES, 1);
    const tracer = {
      begin: (name, { parent, attributes } = {}) => {
        begun.push([name, parent && Buffer.from(parent), attributes]);
        return { context, end: (why?: string) => void ended.push(why ?? 'in order') } as Step;
      },
    } as Tracer;
    const { leader, client, host } = await setup({ tracer });
    client.start();
    const { stream, requests } = await leader.stream(1);
    const welcome = { epoch: 3, rnssAdd: 7, version: '9', protocolVersion: 1, replicas: [], tellsTaken: false };
    stream.write({ welcome: { ...welcome, trace: context } });
    await leader.until(() => requests.some(({ snapshotEnd }) => snapshotEnd !== undefined));
    const attributes = { 'spanmesh.gateway': 'a.0123abcd', 'spanmesh.leader': leader.address, 'spanmesh.epoch': 3 };
    expect(begun).toEqual([['gateway attaches', context, attributes]]);
    expect(ended).toEqual(['in order']);
    stream.end();
    const again = await leader.stream(2);
    expect(ended).toEqual(['in order']);
    host.slices = 100_000;
    again.stream.write({ welcome });
    await leader.until(() => host.happened.includes('slice 0'));
    expect(begun.at(-1)).toEqual(['gateway attaches', null, attributes]);
    again.stream.end();
    await leader.stream(3);
    expect(ended).toEqual(['in order', 'the stream has ended']);
  });
});

describe('the loss of a leader', () => {
  // Causes: line not attached to topology
  it.each([
    [status.ABORTED, 'info'],
    [status.CANCELLED, 'info'],
    [status.FAILED_PRECONDITION, 'info'],
    [status.INTERNAL, 'warn'],
    [null, 'info'],
  ])('is logged, and is nothing to warn of if the leader stops (%s: %s)', async (code, level) => {
    const { stream, log, leader, client } = await attached();
    if (code === null) stream.end();
    else stream.emit('error', Object.assign(new Error('gone'), { code, details: 'this is why' }));
    await leader.stream(2);
    expect(client.attachedOnce).toBe(true);
    expect(log.filter(({ msg }) => msg === 'not attached to topology')).toMatchObject([
      { level, topology: leader.address, code: code === null ? 'none' : status[code] },
    ]);
    expect(log.filter(({ msg }) => msg === 'attached to topology')).toMatchObject([
      { level: 'info', epoch: 3, leader: '9', protocol: 1 },
    ]);
  });
});
