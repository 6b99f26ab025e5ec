import { status } from '@grpc/grpc-js';
import { RefusalReason, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { describe, expect, it, vi } from 'vitest';
import { FakeGateway, pairName, parsePair } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { FakeStream } from '../testing/fake-stream.fixture.ts';
import { settle } from '../testing/world.fixture.ts';

const {
  REFUSAL_REASON_DECLARED_DEAD,
  REFUSAL_REASON_EPOCH,
  REFUSAL_REASON_NAME_TAKEN,
  REFUSAL_REASON_NOT_LEADER,
  REFUSAL_REASON_OTHER_INSTALLATION,
  REFUSAL_REASON_TOO_MANY,
  REFUSAL_REASON_VERSION,
} = RefusalReason;

const MAX_GATEWAYS = 4096;

const HELLO = {
  capabilities: ['drain'],
  name: 'a',
  boot: '00000001',
  highestEpoch: 0,
  version: '1',
  protocolVersion: 1,
  serviceAddress: 'a:1',
  installation: 'spanmesh',
  gatewaysKnown: [] as string[],
};

function greet(leader: FakeLeader, hello: Partial<typeof HELLO> = {}): FakeStream {
  const stream = new FakeStream();
  leader.core.control.attach(stream);
  stream.deliver({ hello: { ...HELLO, ...hello } });
  return stream;
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

it('reports the deltas that it has taken in, after selecting because of them', () => {
  const leader = new FakeLeader();
  const gateway = new FakeGateway('a', '00000001');
  settle(leader, [gateway]);
  const stream = gateway.stream!;
  const before = stream.taken;
  stream.deliver({ delta: StateChange.create() });
  stream.deliver({ delta: StateChange.create() });
  expect(stream.taken).toBe(before);
  leader.core.flush();
  expect(stream.taken).toBe(before + 2);
});

it('reports with the commands of a turn that its deltas have been taken in', () => {
  const leader = new FakeLeader();
  const gateway = new FakeGateway('a', '00000001');
  settle(leader, [gateway]);
  gateway.openLnkConn(gateway.openConnection());
  settle(leader, [gateway]);
  const { length } = gateway.stream!.sent;
  gateway.openLink(gateway.openConnection(), 1);
  settle(leader, [gateway]);
  const sent = gateway.stream!.sent.slice(length);
  expect(sent).toHaveLength(1);
  expect(sent[0]!.commands!.taken).toBeGreaterThan(0);
});

describe('Hello', () => {
  it('is answered by Welcome with the epoch and the rnss that relays add', () => {
    const stream = greet(new FakeLeader({ epoch: 4, rnssAdd: 99 }));
    const welcome = {
      epoch: 4,
      rnssAdd: 99,
      version: '1.0.0',
      protocolVersion: 1,
      replicas: ['me:1'],
      tellsTaken: true,
    };
    expect(stream.sent).toEqual([{ welcome }]);
  });

  it.each([
    ['no name', { name: '' }, status.INVALID_ARGUMENT],
    ['a name with a dot', { name: 'a.b' }, status.INVALID_ARGUMENT],
    ['a name that is too long', { name: 'a'.repeat(64) }, status.INVALID_ARGUMENT],
    ['a bad boot id', { boot: 'xyz' }, status.INVALID_ARGUMENT],
    ['an endless address', { serviceAddress: 'a'.repeat(1000) }, status.INVALID_ARGUMENT],
  ])('is refused with %s', (_, hello, code) => {
    const leader = new FakeLeader();
    const stream = greet(leader, hello);
    expect(stream.error?.code).toBe(code);
    expect(stream.sent).toEqual([]);
    expect(leader.core.state.gateways.size).toBe(0);
  });

  it.each<[string, Partial<typeof HELLO>, RefusalReason, status]>([
    ['a version of the protocol that is too far', { protocolVersion: 3 }, REFUSAL_REASON_VERSION, status.UNIMPLEMENTED],
    ['another installation', { installation: 'other' }, REFUSAL_REASON_OTHER_INSTALLATION, status.FAILED_PRECONDITION],
    ['an epoch that cannot be', { highestEpoch: 0xffffffff }, REFUSAL_REASON_EPOCH, status.INVALID_ARGUMENT],
    ['an epoch that is no number', { highestEpoch: Number.NaN }, REFUSAL_REASON_EPOCH, status.INVALID_ARGUMENT],
  ])('is refused with %s, and shown in the status', (_, hello, reason, code) => {
    const leader = new FakeLeader();
    const stream = greet(leader, hello);
    expect(stream.sent).toEqual([{ refused: { reason, leaderAddress: '' } }]);
    expect([stream.error?.code, stream.error?.details]).toEqual([code, expect.stringMatching(/./)]);
    expect([leader.core.state.gateways.size, leader.lease.raises]).toEqual([0, []]);
    const details = stream.error?.details ?? '';
    expect(leader.core.refusals.list()).toMatchObject([{ name: 'a.00000001', details, times: 1 }]);
  });

  it.each([0, 1, 2])('is welcomed with version %i of the protocol, by a leader of version 1', (protocolVersion) => {
    const leader = new FakeLeader();
    expect(greet(leader, { protocolVersion }).error).toBeUndefined();
  });

  it('that is refused because of its version is told both versions', () => {
    const { error } = greet(new FakeLeader(), { protocolVersion: 3, version: '3.4.5' });
    expect(error?.details).toMatch(
      /^This service speaks version 1 of .*, gateway a\.00000001 \(3\.4\.5\) version 3: .*Upgrade this service, or /,
    );
  });

  it('is refused by a replica that does not lead, with the leader’s address', () => {
    const leader = new FakeLeader();
    leader.lose();
    const stream = greet(leader);
    expect(stream.error?.code).toBe(status.FAILED_PRECONDITION);
    expect(stream.error?.details).toContain('other:1');
    expect(stream.sent).toEqual([{ refused: { reason: REFUSAL_REASON_NOT_LEADER, leaderAddress: 'other:1' } }]);
    expect(leader.core.refusals.list()).toEqual([]);
  });

  it('must come first', () => {
    const stream = new FakeStream();
    new FakeLeader().core.control.attach(stream);
    stream.deliver({ snapshotEnd: {} });
    expect(stream.error?.code).toBe(status.INVALID_ARGUMENT);
  });

  it('of a gateway that the certificate does not allow is refused, and ends no stream of that gateway', () => {
    const leader = new FakeLeader();
    const right = greet(leader);
    const stream = new FakeStream();
    leader.core.control.attach(stream, (name) => (name === 'b' ? null : `not ${name}`));
    stream.deliver({ hello: HELLO });
    expect([stream.error?.code, stream.error?.details]).toEqual([status.PERMISSION_DENIED, 'not a']);
    expect(right.over).toBe(false);
  });

  it('of the same boot replaces the older stream', () => {
    const leader = new FakeLeader();
    const older = greet(leader);
    const newer = greet(leader);
    expect(older.error?.code).toBe(status.ABORTED);
    expect(newer.error).toBeUndefined();
    // Messages on the older stream do not count any more.
    older.deliver({ snapshotEnd: {} });
    expect(leader.core.control.live).toBe(0);
  });

  it('of a second boot is refused while the first one is attached', () => {
    const leader = new FakeLeader();
    const first = greet(leader);
    const second = greet(leader, { boot: '00000002' });
    expect(second.error?.code).toBe(status.ALREADY_EXISTS);
    expect(second.sent).toEqual([{ refused: { reason: REFUSAL_REASON_NAME_TAKEN, leaderAddress: '' } }]);
    expect(first.over).toBe(false);
  });

  it('of a second boot is refused while a trunk to the first one is established', () => {
    const leader = new FakeLeader();
    const b = new FakeGateway('b');
    settle(leader, [b]);
    greet(leader).break();
    b.trunk('a.00000001', true);
    settle(leader, [b]);
    // Although the registry shows the second boot.
    leader.presence.put('a', '00000002');
    expect(greet(leader, { boot: '00000002' }).error?.code).toBe(status.ALREADY_EXISTS);
    b.trunk('a.00000001', false);
    settle(leader, [b]);
    expect(greet(leader, { boot: '00000002' }).error).toBeUndefined();
    settle(leader, [b]);
    expect(b.gone).toEqual(['a.00000001']);
  });

  it('of an earlier boot is refused after a newer one has attached', () => {
    const leader = new FakeLeader();
    greet(leader).break();
    greet(leader, { boot: '00000002' });
    expect(greet(leader).sent).toEqual([{ refused: { reason: REFUSAL_REASON_DECLARED_DEAD, leaderAddress: '' } }]);
  });

  it('of a second boot is refused while the first one gives signs of life, unless the second has registered since', () => {
    const leader = new FakeLeader();
    leader.presence.put('a', '00000001');
    greet(leader).break();
    expect(greet(leader, { boot: '00000002' }).error?.code).toBe(status.ALREADY_EXISTS);
    leader.presence.put('a', '00000002');
    expect(greet(leader, { boot: '00000002' }).error).toBeUndefined();
    expect([...leader.core.state.gateways.keys()]).toEqual(['a.00000002']);
  });

  it('with a higher epoch makes the leader take one above it, and all gateways attach anew', async () => {
    const leader = new FakeLeader({ epoch: 2 });
    const other = greet(leader, { name: 'b' });
    const stream = greet(leader, { highestEpoch: 7 });
    await nextTurn();
    expect(leader.lease.raises).toEqual([8]);
    expect(stream.sent[0]?.welcome?.epoch).toBe(8);
    expect(other.error?.code).toBe(status.ABORTED);
  });

  it('with a higher epoch makes the numbers of commands begin again', async () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    const numbers = () => [a, b].flatMap(({ stream }) => stream!.sent.flatMap(({ commands }) => commands?.n ?? []));
    settle(leader, [a, b]);
    expect(Math.min(...numbers())).toBe(1);
    greet(leader, { name: 'c', highestEpoch: 7 });
    await nextTurn();
    settle(leader, [a, b]);
    expect([a.highestEpoch, Math.min(...numbers())]).toEqual([8, 1]);
  });

  it('with a higher epoch is refused if the leader has that epoch, but lost its lease over it', async () => {
    const leader = new FakeLeader({ epoch: 2 });
    leader.lease.onRaise = () => leader.freeze();
    const stream = greet(leader, { highestEpoch: 7 });
    await nextTurn();
    expect([leader.lease.epoch, stream.error?.code]).toEqual([8, status.FAILED_PRECONDITION]);
    expect(stream.sent).toEqual([{ refused: { reason: REFUSAL_REASON_NOT_LEADER, leaderAddress: '' } }]);
  });

  it.each([2, 7])('with epoch 7 is refused if the leader could not go above it, but to %i', async (epoch) => {
    const leader = new FakeLeader({ epoch: 2 });
    leader.lease.raiseEpoch = () => {
      leader.lease.epoch = epoch;
      leader.lead();
      return Promise.reject(new Error('the store is away'));
    };
    const stream = greet(leader, { highestEpoch: 7 });
    await nextTurn();
    expect([leader.lease.epoch, stream.error?.code]).toEqual([epoch, status.FAILED_PRECONDITION]);
    expect(stream.sent).toEqual([{ refused: { reason: REFUSAL_REASON_NOT_LEADER, leaderAddress: '' } }]);
  });
});

describe('a gateway whose stream ends', () => {
  function withLink() {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    leader.presence.put('a', a.boot);
    leader.presence.put('b', b.boot);
    settle(leader, [a, b]);
    a.openLink(a.openConnection(), 1);
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    expect(b.relays.size).toBe(1);
    return { leader, a, b };
  }

  it('keeps its links as long as it gives signs of life', () => {
    const { leader, a, b } = withLink();
    a.disconnect();
    leader.clock.advance(60_000);
    leader.core.flush();
    settle(leader, [b]);
    expect(leader.core.state.trees.tree.counts.links).toBe(1);
    expect(b.relays.size).toBe(1);
  });

  it('keeps its links as long as another gateway has a trunk to it, and 5 s longer', () => {
    const { leader, a, b } = withLink();
    b.trunk(a.id, true);
    settle(leader, [b]);
    leader.presence.silence('a');
    a.disconnect();
    const pass = (ms: number) => {
      leader.clock.advance(ms);
      settle(leader, [b]);
    };
    pass(60_000);
    expect(b.relays.size).toBe(1);
    b.trunk(a.id, false);
    pass(0);
    pass(4500);
    expect(b.relays.size).toBe(1);
    pass(1000);
    expect(b.relays.size).toBe(0);
  });

  it('is dead when nothing has been heard of it for 5 s', () => {
    const { leader, a, b } = withLink();
    leader.clock.advance(60_000);
    a.disconnect();
    leader.presence.silence('a');
    leader.clock.advance(4999);
    leader.core.flush();
    expect(leader.core.state.trees.tree.counts.links).toBe(1);
    leader.clock.advance(1);
    leader.core.flush();
    settle(leader, [b]);
    expect(leader.core.state.gateways.has(a.id)).toBe(false);
    expect(leader.core.state.trees.tree.counts.links).toBe(0);
    expect([b.relays.size, b.remote.size, b.peers, b.gone]).toEqual([0, 0, [], [a.id]]);
    // The dead gateway was in the registry; its entry is removed, so that the next leader need not wait for it.
    expect(leader.presence.get('a')).toBeNull();
  });

  it('is not dead after one reset of its connection, even where gateways give no signs of life', () => {
    const { leader, a, b } = withLink();
    leader.presence.silence('a');
    leader.presence.silence('b');
    leader.clock.advance(60_000);
    const { closes } = b;
    a.disconnect();
    leader.core.flush();
    settle(leader, [a, b]);
    expect([b.closes, b.gone]).toEqual([closes, []]);
  });

  it('is not dead while no process is heard, as during an outage of the bus', () => {
    const { leader, a, b } = withLink();
    leader.presence.flowingSince = null;
    leader.presence.silence('a');
    a.disconnect();
    leader.clock.advance(60_000);
    settle(leader, [b]);
    expect(b.relays.size).toBe(1);
    // The bus is back: now the gateway has 5 s.
    leader.presence.flowingSince = leader.clock.now();
    leader.clock.advance(4999);
    settle(leader, [b]);
    expect(b.relays.size).toBe(1);
    leader.clock.advance(1);
    settle(leader, [b]);
    expect(b.relays.size).toBe(0);
  });

  it('is not dead because its entry in the registry is gone', () => {
    const { leader, a, b } = withLink();
    a.disconnect();
    leader.presence.remove('a', a.boot);
    leader.clock.advance(60_000);
    settle(leader, [b]);
    expect([leader.core.state.gateways.has(a.id), b.relays.size]).toEqual([true, 1]);
  });

  it('is not declared dead by a leader whose lease does not hold, nor right after the lease holds again', () => {
    const { leader, a } = withLink();
    leader.clock.advance(60_000);
    a.disconnect();
    leader.freeze();
    leader.presence.silence('a');
    leader.clock.advance(60_000);
    leader.core.flush();
    expect(leader.core.state.gateways.has(a.id)).toBe(true);
    // During the outage of the store signs of life were not observed.
    leader.lead();
    leader.core.flush();
    expect(leader.core.state.gateways.has(a.id)).toBe(true);
    leader.clock.advance(5000);
    leader.core.flush();
    expect(leader.core.state.gateways.has(a.id)).toBe(false);
  });

  it('is gone at once when it has closed all connections and said goodbye', async () => {
    const { leader, a, b } = withLink();
    for (const id of [...a.connections.keys()]) a.closeConnection(id);
    a.flush();
    a.deliverUp();
    a.stream!.emit('end');
    await nextTurn();
    expect(leader.core.state.gateways.has(a.id)).toBe(false);
    settle(leader, [b]);
    expect([b.relays.size, b.peers, b.gone]).toEqual([0, [], [a.id]]);
  });

  it('is not gone when its stream ends in order while it has connections', async () => {
    const { leader, a } = withLink();
    a.stream!.emit('end');
    await nextTurn();
    expect(leader.core.state.gateways.has(a.id)).toBe(true);
    expect(leader.core.control.live).toBe(1);
  });
});

describe('the leader', () => {
  // Causes: metric spanmesh_topology_nonsense_total
  it('survives payloads that make no sense, and drops only those', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    settle(leader, [a]);
    const connection = a.openConnection();
    a.openLnkConn(connection);
    a.openLink(a.openConnection(), 1);
    a.flush();
    const { delta } = a.up.at(-1)!;
    const [good] = delta!.linksOpened;
    delta!.linksOpened.push({ ...good!, id: 90, payload: Buffer.alloc(3) });
    delta!.linksOpened.push({ ...good!, id: 91, connection: 12345 });
    delta!.linksOpened.push({ ...good!, id: Number.NaN });
    delta!.linksOpened.push({ ...good!, id: 92, stamp: Number.POSITIVE_INFINITY });
    const alien = Buffer.from(good!.payload);
    alien[33] = 64;
    delta!.linksOpened.push({ ...good!, id: 93, payload: alien });
    delta!.lnkConnsOpened.push({ id: 94, connection, payload: Buffer.alloc(0) });
    delta!.connectionsOpened.push({ ...delta!.connectionsOpened[0]!, id: 95, dialect: 77 as 0 });
    delta!.refusals.push({ lnkConn: 1e9, linkGateway: 'nobody.00000000', link: 5, n: 1 });
    settle(leader, [a]);
    expect(leader.core.nonsense).toBe(7);
    expect(leader.core.state.trees.tree.counts).toMatchObject({ connections: 2, links: 1, lnkConns: 1, relays: 1 });
    expect(a.stream!.over).toBe(false);
  });

  it('accepts a gateway that it has declared dead only under another id; the gateway keeps its connections and relays', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    const link = a.openLink(a.openConnection(), 1);
    const lnkConn = a.openLnkConn(a.openConnection());
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    const { id, opens, closes } = a;
    a.disconnect();
    leader.clock.advance(5000);
    settle(leader, [b]);
    expect([b.gone, b.relays.size]).toEqual([[id], 0]);
    const stream = a.connect(leader);
    a.deliverUp();
    expect(stream.sent).toEqual([{ refused: { reason: REFUSAL_REASON_DECLARED_DEAD, leaderAddress: '' } }]);
    expect(stream.error?.code).toBe(status.FAILED_PRECONDITION);
    a.deliverDown();
    settle(leader, [a, b]);
    expect(a.id).not.toBe(id);
    expect([...a.relays.keys()]).toEqual([pairName(a.id, link, lnkConn)]);
    // The relay of the gateway's own link is still open: its peer has noticed nothing.
    expect([a.opens, a.closes]).toEqual([opens, closes]);
    expect([...b.relays.keys()].map((pair) => parsePair(pair).gateway)).toEqual([a.id]);
    expect([...leader.core.state.gateways.keys()].sort()).toEqual([a.id, b.id].sort());
  });

  it('tells a gateway which of the gateways that it names are gone', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a]);
    a.disconnect();
    leader.clock.advance(5000);
    leader.core.flush();
    // The previous leader had named gateway a to it.
    b.named = [a.id];
    settle(leader, [b]);
    expect(b.gone).toEqual([a.id]);
  });

  it('sends the addresses of the replicas, and again when they change', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    settle(leader, [a]);
    expect(a.replicas).toEqual(['me:1']);
    const commands = a.commandCount;
    leader.clock.advance(5000);
    settle(leader, [a]);
    expect(a.commandCount).toBe(commands);
    leader.presence.replicas.push('other:1');
    leader.clock.advance(1000);
    settle(leader, [a]);
    expect(a.replicas).toEqual(['me:1', 'other:1']);
  });

  // Causes: line gateways are there, but none reaches this leader: another replica may do better
  it('gives the lease back when it reaches no gateway though they are there', () => {
    const leader = new FakeLeader({ leaseTtlMs: 1000, isLogged: true });
    leader.presence.put('a', '00000001');
    leader.clock.advance(1999);
    expect(leader.lease.stepsDown).toEqual([]);
    leader.clock.advance(1001);
    expect(leader.lease.stepsDown[0]).toBe(30_000);
    const line = 'gateways are there, but none reaches this leader: another replica may do better';
    expect(leader.log[0]).toMatchObject({ level: 'warn', msg: line });
  });

  it('keeps the lease when a gateway reaches it, or there is none', () => {
    const leader = new FakeLeader({ leaseTtlMs: 1000 });
    leader.clock.advance(60_000);
    const a = new FakeGateway('a');
    leader.presence.put('a', a.boot);
    leader.clock.advance(1500);
    settle(leader, [a]);
    leader.clock.advance(60_000);
    expect(leader.lease.stepsDown).toEqual([]);
  });

  it('names the other gateways to each gateway when they change', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a]);
    expect(a.peers).toEqual([]);
    settle(leader, [a, b]);
    expect(a.peers).toEqual([b.id]);
    expect(b.peers).toEqual([a.id]);
    const commands = a.commandCount;
    leader.core.term.presenceChanged();
    settle(leader, [a, b]);
    expect(a.commandCount).toBe(commands);
  });

  it('ends all streams when it loses the lease, and closes no relay', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    a.openLnkConn(a.openConnection());
    a.openLink(a.openConnection(), 1);
    settle(leader, [a]);
    leader.lose();
    expect(a.stream!.error?.code).toBe(status.FAILED_PRECONDITION);
    expect(a.closes).toBe(0);
    expect(a.relays.size).toBe(1);
    expect(leader.core.state.gateways.size).toBe(0);
  });
});

describe('the limits of a leader', () => {
  // Limits: attach/gateway-control.ts MAX_GATEWAYS
  it('are as many gateways as the registry keeps; one with a known name may attach again', () => {
    const leader = new FakeLeader();
    for (let i = 0; i < MAX_GATEWAYS - 1; i++) greet(leader, { name: `g${i}` });
    expect(greet(leader, { name: 'last' }).error).toBeUndefined();
    const next = greet(leader, { name: 'next' });
    expect([next.error?.code, next.sent[0]?.refused?.reason]).toEqual([
      status.RESOURCE_EXHAUSTED,
      REFUSAL_REASON_TOO_MANY,
    ]);
    expect(greet(leader, { name: 'last' }).error).toBeUndefined();
    expect(leader.core.refusals.list().map(({ name }) => name)).toEqual(['next.00000001']);
  });

  it('are as many streams without a Hello as gateways', () => {
    const leader = new FakeLeader();
    const streams = Array.from({ length: MAX_GATEWAYS }, () => {
      const stream = new FakeStream();
      leader.core.control.attach(stream);
      return stream;
    });
    expect(streams.every(({ over }) => !over)).toBe(true);
    const next = new FakeStream();
    leader.core.control.attach(next);
    expect(next.error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(leader.core.control.greeting).toBe(MAX_GATEWAYS);
    streams[0]!.break();
    expect(leader.core.control.greeting).toBe(MAX_GATEWAYS - 1);
    expect(greet(leader).error).toBeUndefined();
  });

  // Limits: attach/gateway-control.ts MAX_ADDRESS_CHARS
  it.each([
    ['serviceAddress', 300],
    ['version', 100],
  ] as const)('is a %s of %i characters', (field, most) => {
    const leader = new FakeLeader();
    expect(greet(leader, { [field]: 'x'.repeat(most) }).error).toBeUndefined();
    expect(greet(leader, { name: 'b', [field]: 'x'.repeat(most + 1) }).error).toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  it.each(['', 'A', 'a b', 'a.b'])('do not allow the name %j', (name) => {
    expect(greet(new FakeLeader(), { name }).error).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  // Limits: attach/gateway-control.ts MAX_CAPABILITIES
  it('are 32 capabilities; too long ones are ignored', () => {
    const leader = new FakeLeader();
    const longest = 'x'.repeat(32);
    const capabilities = [longest, `${longest}x`, ...Array.from({ length: 31 }, (_, i) => `c${i}`)];
    greet(leader, { capabilities });
    const known = leader.core.state.gateways.get('a.00000001')!.capabilities;
    expect([known.size, known.has(longest), known.has('c29'), known.has('c30')]).toEqual([31, true, true, false]);
  });

  // Limits: attach/gateway-control.ts MAX_NAMED
  it('are 8192 other gateways in a Hello; it waits for none beyond', () => {
    const leader = new FakeLeader();
    greet(leader, { gatewaysKnown: Array.from({ length: 8193 }, (_, i) => `b${i}.00000001`) });
    const waited = new Set([...leader.core.roster.silent()].map(({ id }) => id));
    expect([waited.size, waited.has('b8191.00000001'), waited.has('b8192.00000001')]).toEqual([8192, true, false]);
  });

  it('ignore the gateway itself and invalid ids among the named ones', () => {
    const leader = new FakeLeader();
    const attach = vi.spyOn(leader.core.commander, 'attach');
    const stream = greet(leader, { gatewaysKnown: ['a.00000001', 'nonsense', 'b.00000001'] });
    expect([...leader.core.roster.silent()].map(({ id }) => id)).toEqual(['b.00000001']);
    stream.deliver({ snapshotEnd: {} });
    // They are not kept with the stream, either.
    expect(attach.mock.lastCall?.[2].named).toEqual(['b.00000001']);
  });
});
