import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { FakeGateway, FakeLeader, FakeStream, settle } from './world.fixture.ts';

const HELLO = {
  capabilities: ['drain'],
  name: 'a',
  boot: '00000001',
  highestEpoch: 0,
  version: '1',
  protocolVersion: 1,
  serviceAddress: 'a:1',
};

function greet(leader: FakeLeader, hello: Partial<typeof HELLO> = {}): FakeStream {
  const stream = new FakeStream();
  leader.core.control.attach(stream);
  stream.deliver({ hello: { ...HELLO, ...hello } });
  return stream;
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('Hello', () => {
  it('is welcomed with the epoch and what relays add to rnss', () => {
    const stream = greet(new FakeLeader({ epoch: 4, rnssAdd: 99 }));
    expect(stream.sent).toEqual([{ welcome: { epoch: 4, rnssAdd: 99, version: '1.0.0', protocolVersion: 1 } }]);
  });

  it.each([
    ['a version of the protocol that is too far', { protocolVersion: 3 }, status.UNIMPLEMENTED],
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

  it.each([0, 1, 2])('is welcomed with version %i of the protocol, by a leader of version 1', (protocolVersion) => {
    const leader = new FakeLeader();
    expect(greet(leader, { protocolVersion }).error).toBeUndefined();
  });

  it('that is refused for its version is told both', () => {
    const { error } = greet(new FakeLeader(), { protocolVersion: 3, version: '3.4.5' });
    expect(error?.details).toMatch(
      /^This service speaks version 1 of .*, gateway a\.00000001 \(3\.4\.5\) version 3: .*Upgrade this service, or /,
    );
  });

  it('is refused by a replica that does not lead, which says who does', () => {
    const leader = new FakeLeader();
    leader.lose();
    const stream = greet(leader);
    expect(stream.error?.code).toBe(status.FAILED_PRECONDITION);
    expect(stream.error?.details).toContain('other:1');
  });

  it('must come first', () => {
    const stream = new FakeStream();
    new FakeLeader().core.control.attach(stream);
    stream.deliver({ snapshotEnd: {} });
    expect(stream.error?.code).toBe(status.INVALID_ARGUMENT);
  });

  it('of a gateway that the certificate shown is not for is refused, and ends no stream of that gateway', () => {
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
    // What the older one still says does not count.
    older.deliver({ snapshotEnd: {} });
    expect(leader.core.control.live).toBe(0);
  });

  it('of a second boot is refused while the first one is attached', () => {
    const leader = new FakeLeader();
    const first = greet(leader);
    const second = greet(leader, { boot: '00000002' });
    expect(second.error?.code).toBe(status.ALREADY_EXISTS);
    expect(first.over).toBe(false);
  });

  it('of a second boot is refused while the registry shows the first one', () => {
    const leader = new FakeLeader();
    leader.presence.put('a', '00000001');
    greet(leader).break();
    expect(greet(leader, { boot: '00000002' }).error?.code).toBe(status.ALREADY_EXISTS);
    leader.presence.put('a', '00000002');
    expect(greet(leader, { boot: '00000002' }).error).toBeUndefined();
    expect([...leader.core.state.gateways.keys()]).toEqual(['a.00000002']);
  });

  it('with a higher epoch makes the leader go above it, and everybody attach anew', async () => {
    const leader = new FakeLeader({ epoch: 2 });
    const other = greet(leader, { name: 'b' });
    const stream = greet(leader, { highestEpoch: 7 });
    await nextTurn();
    expect(leader.lease.raises).toEqual([8]);
    expect(stream.sent[0]?.welcome?.epoch).toBe(8);
    expect(other.error?.code).toBe(status.ABORTED);
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

  it('keeps its links as long as the registry shows it', () => {
    const { leader, a, b } = withLink();
    a.disconnect();
    leader.clock.advance(60_000);
    leader.core.flush();
    settle(leader, [b]);
    expect(leader.core.state.tree.counts.links).toBe(1);
    expect(b.relays.size).toBe(1);
  });

  it('is dead once its registry entry has aged out, too', () => {
    const { leader, a, b } = withLink();
    leader.clock.advance(60_000);
    a.disconnect();
    leader.presence.records.delete('a');
    leader.core.flush();
    settle(leader, [b]);
    expect(leader.core.state.gateways.has(a.id)).toBe(false);
    expect(leader.core.state.tree.counts.links).toBe(0);
    expect(b.relays.size).toBe(0);
    expect(b.remote.size).toBe(0);
    expect(b.peers).toEqual([]);
  });

  it('is not declared dead by a leader whose lease does not hold, nor right after', () => {
    const { leader, a } = withLink();
    leader.clock.advance(60_000);
    a.disconnect();
    leader.freeze();
    leader.presence.records.delete('a');
    leader.core.flush();
    expect(leader.core.state.gateways.has(a.id)).toBe(true);
    // The store was away: nobody could renew its entry.
    leader.lead();
    leader.core.flush();
    expect(leader.core.state.gateways.has(a.id)).toBe(true);
    leader.clock.advance(5000);
    leader.core.flush();
    expect(leader.core.state.gateways.has(a.id)).toBe(false);
  });

  it('is gone at once when it has closed everything and said goodbye', async () => {
    const { leader, a, b } = withLink();
    for (const id of [...a.connections.keys()]) a.closeConnection(id);
    a.flush();
    a.deliverUp();
    a.stream!.emit('end');
    await nextTurn();
    expect(leader.core.state.gateways.has(a.id)).toBe(false);
    settle(leader, [b]);
    expect(b.relays.size).toBe(0);
    // The registry's word is good for the list of gateways as long as it stands.
    expect(b.peers).toEqual([a.id]);
    leader.presence.records.delete('a');
    leader.core.presenceChanged();
    settle(leader, [b]);
    expect(b.peers).toEqual([]);
  });

  it('is not gone when its stream ends while it holds connections', async () => {
    const { leader, a } = withLink();
    a.stream!.emit('end');
    await nextTurn();
    expect(leader.core.state.gateways.has(a.id)).toBe(true);
    expect(leader.core.control.live).toBe(1);
  });
});

describe('the leader', () => {
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
    expect(leader.core.state.tree.counts).toMatchObject({ connections: 2, links: 1, lnkConns: 1, relays: 1 });
    expect(a.stream!.over).toBe(false);
  });

  it('tells every gateway who the others are, when that changes', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a]);
    expect(a.peers).toEqual([]);
    settle(leader, [a, b]);
    expect(a.peers).toEqual([b.id]);
    expect(b.peers).toEqual([a.id]);
    const commands = a.commandCount;
    leader.core.presenceChanged();
    settle(leader, [a, b]);
    expect(a.commandCount).toBe(commands);
  });

  it('ends all streams when it does not lead any more, and closes nothing', () => {
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
