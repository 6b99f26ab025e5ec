import { status } from '@grpc/grpc-js';
import { FollowResponse, SnapshotBegin, TreeChange } from '@spanmesh/proto/v1/replication';
import { RefusalCause, ReplicaRole } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it, vi } from 'vitest';
import { Watch } from '../api/watch.ts';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { FakePresence } from '../testing/fake-presence.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { answersOf, FakeCall, FakeStandby, treeOf } from '../testing/standby.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { connectionData } from '../trees/gateway.ts';
import { Lag } from './lag.ts';

// Written once more: a change of them must be noticed.
const HEARTBEAT_MS = 250;
const MAX_BACKOFF_MS = 2000;
const MAX_STANDBY_BYTES = 32 * 1024 * 1024;
const SNAPSHOT_TURN_BYTES = 384 * 1024;

function installation() {
  const leader = new FakeLeader();
  const gateway = new FakeGateway('a');
  const connection = gateway.openConnection();
  gateway.openLnkConn(gateway.openConnection());
  gateway.openLink(connection, 1);
  settle(leader, [gateway]);
  const standby = new FakeStandby({ clock: leader.clock });
  standby.follow(leader);
  standby.catchUp(leader);
  const same = () => expect(answersOf(standby.follower.view!)).toEqual(answersOf(leader.core.view()!));
  return { leader, gateway, connection, standby, same };
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Waits until acknowledgements are sent, at the end of a turn. */
const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

describe('a standby', () => {
  it('costs the leader nothing once it is gone', () => {
    const { leader, standby } = installation();
    expect(leader.core.state.trees.journal).toBeDefined();
    standby.follower.stop();
    expect([leader.core.state.trees.journal, leader.core.publisher.followers]).toEqual([undefined, 0]);
    const { messages } = leader.core.publisher;
    leader.clock.advance(10 * HEARTBEAT_MS);
    expect(leader.core.publisher.messages).toBe(messages);
  });

  it('is sent a new link without its relays', () => {
    const { leader, gateway, connection, standby, same } = installation();
    const few = leader.core.publisher.bytes;
    for (let i = 0; i < 500; i++) gateway.openLnkConn(gateway.openConnection());
    settle(leader, [gateway]);
    standby.catchUp(leader);
    const before = leader.core.publisher.bytes;
    gateway.openLink(connection, 2);
    settle(leader, [gateway]);
    standby.catchUp(leader);
    same();
    expect(standby.follower.view!.trees.tree.counts.relays).toBe(2 * 501);
    // This was one link with 501 relays.
    expect(leader.core.publisher.bytes - before).toBeLessThan(few);
  });

  it('knows whose links a gateway withholds, told in a change or in the snapshot, and shows them so', () => {
    const { leader, gateway, standby, same } = installation();
    const other = new FakeGateway('b');
    other.openLnkConn(other.openConnection());
    settle(leader, [gateway, other]);
    standby.catchUp(leader);
    const withheldOn = ({ follower }: FakeStandby) => [
      ...(follower.view?.trees.gateways.get(other.id)?.withheld ?? ['not there']),
    ];
    const principal = '192.0.2.1';
    other.withhold([principal]);
    settle(leader, [gateway, other]);
    standby.catchUp(leader);
    same();
    expect(withheldOn(standby)).toEqual([principal]);
    const late = new FakeStandby({ clock: leader.clock, replica: 'late' });
    late.follow(leader);
    late.catchUp(leader);
    expect(withheldOn(late)).toEqual([principal]);
    const relays = JSON.stringify(answersOf(late.follower.view!));
    expect(relays).toContain('"withheld":true');
    other.withhold([]);
    settle(leader, [gateway, other]);
    standby.catchUp(leader);
    same();
    expect(withheldOn(standby)).toEqual([]);
  });

  // Causes: metric spanmesh_topology_replica_unknown_changes_total
  it('passes over a change of a kind that it does not know, counts it, and goes on', () => {
    const { leader, gateway, connection, standby, same } = installation();
    // TreeChange { gateway = 1, field 99 = {} } in a delta, as a leader of another version would send it.
    const change = [0x08, 0x01, 0x9a, 0x06, 0x00];
    standby.call.stream.emit('data', FollowResponse.decode(Buffer.from([0x42, 7, 0x0a, 5, ...change])));
    const { follower } = standby;
    expect([follower.unknownChanges, follower.differences, follower.isLive]).toEqual([1, 0, true]);
    gateway.openLink(connection, 2);
    settle(leader, [gateway]);
    standby.catchUp(leader);
    same();
    expect([follower.snapshots, standby.calls.length]).toEqual([1, 1]);
  });

  it.each([
    [
      'another installation',
      { installation: 'other' },
      RefusalCause.REFUSAL_CAUSE_OTHER_INSTALLATION,
      ['spanmesh', 'other'],
    ],
    ['another version', { replicationVersion: 2 }, RefusalCause.REFUSAL_CAUSE_VERSION, ['version 1', 'by 2']],
    ['other settings', { settings: 'rnss=8' }, RefusalCause.REFUSAL_CAUSE_SETTINGS, ['rnss=7', 'rnss=8']],
  ])('of %s is refused, and shown with both values', (_, about, cause, values) => {
    const leader = new FakeLeader({ settings: 'rnss=7' });
    settle(leader, [new FakeGateway('a')]);
    const standby = new FakeStandby({ clock: leader.clock, settings: 'rnss=7', ...about });
    standby.follow(leader);
    standby.catchUp(leader);
    expect([standby.follower.isLive, standby.follower.view, leader.core.publisher.followers]).toEqual([
      false,
      undefined,
      0,
    ]);
    const [refused, ...others] = leader.core.refusals.list();
    expect([refused?.name, refused?.cause, others]).toEqual(['standby:1', cause, []]);
    for (const value of values) expect(refused?.details).toContain(value);
  });

  // Limits: replication/publisher.ts MAX_TEXT_CHARS
  it('states an id of limited length, and is refused with a longer one or none', () => {
    const longest = 'r'.repeat(300);
    for (const [replica, follows] of [
      ['r'.repeat(298), true],
      [longest, false],
      ['', false],
    ] as const) {
      const leader = new FakeLeader();
      settle(leader, [new FakeGateway('a')]);
      // The standby's address has two characters more than its id.
      const standby = new FakeStandby({ clock: leader.clock, replica });
      standby.follow(leader);
      standby.catchUp(leader);
      expect([replica.length, standby.follower.isLive]).toEqual([replica.length, follows]);
    }
  });

  it('passes over parts of a snapshot that it cannot use: of one that has not begun, or an end without a position', () => {
    const { leader, standby, same } = installation();
    standby.call.end();
    leader.clock.advance(100);
    const { follower } = standby;
    const say = (response: Partial<FollowResponse>) =>
      standby.call.stream.emit('data', { ...FollowResponse.create(), ...response });
    say({ snapshot: { changes: [TreeChange.create({ gateway: 9, gatewayGone: true })], more: false } });
    say({ snapshotEnd: {}, position: leader.core.history.position });
    say({ snapshotBegin: SnapshotBegin.create() });
    say({ snapshotEnd: {} });
    expect([follower.isLive, follower.snapshots, follower.differences, standby.call.isOver]).toEqual([
      false,
      1,
      0,
      false,
    ]);
    standby.catchUp(leader);
    expect([follower.isLive, follower.snapshots, follower.differences]).toEqual([true, 2, 0]);
    same();
  });

  it('begins again when the leader tells what makes no sense, and records nothing of it', () => {
    const { leader, gateway, standby, same } = installation();
    const { number } = leader.core.state.gateways.get(gateway.id) ?? expect.fail('no gateway');
    const { history, trees } = standby.follower.view!;
    const { revision } = history;
    const nonsense = [
      { connectionOpened: { id: 0 } },
      { lnkConnOpened: { id: 500, connection: 12345 } },
      { linkOpened: { id: 501, connection: 12345 } },
      { clusterHeld: { id: 'no id' } },
    ];
    for (const [i, change] of nonsense.entries()) {
      const changes = [{ gateway: number, ...change }];
      standby.call.stream.emit('data', FollowResponse.fromPartial({ delta: { changes } }));
      expect([Object.keys(change), standby.follower.differences, standby.follower.isLive]).toEqual([
        Object.keys(change),
        i + 1,
        false,
      ]);
      expect([history.revision, trees.tree.counts.links]).toEqual([revision, 1]);
      leader.clock.advance(MAX_BACKOFF_MS);
      standby.catchUp(leader);
      expect(standby.follower.isLive).toBe(true);
    }
    gateway.openConnection();
    settle(leader, [gateway]);
    standby.catchUp(leader);
    same();
  });

  it('takes over that a gateway closes a connection in order', () => {
    const { leader, gateway, connection, standby, same } = installation();
    leader.core.state.trees.setClosing(
      leader.core.state.gateways.get(gateway.id)!.connections.get(connection),
      'draining',
    );
    settle(leader, [gateway]);
    standby.catchUp(leader);
    same();
    expect(standby.follower.differences).toBe(0);
    const [replicated] = [...standby.follower.view!.trees.gateways.values()];
    expect(connectionData(replicated!.connections.get(connection)!).opened.closing).toBe('draining');
  });

  it('takes over what a gateway tells of a connection later', () => {
    const { leader, gateway, connection, standby, same } = installation();
    const { trees } = leader.core.state;
    const told = trees.gateways.get(gateway.id)!;
    const { opened } = connectionData(told.connections.get(connection)!);
    trees.openConnection(told, { ...opened, localAddress: '192.0.2.9:988' });
    settle(leader, [gateway]);
    standby.catchUp(leader);
    same();
    const [replicated] = [...standby.follower.view!.trees.gateways.values()];
    expect(connectionData(replicated!.connections.get(connection)!).opened.localAddress).toBe('192.0.2.9:988');
    expect(standby.follower.differences).toBe(0);
  });

  it('is shown by the leader with its lag, and learns of the others', async () => {
    const { leader, standby } = installation();
    leader.clock.advance(HEARTBEAT_MS);
    while (standby.call.deliver());
    await turn();
    const [known] = leader.core.publisher.standbys();
    const { revision } = leader.core.history;
    const role = ReplicaRole.REPLICA_ROLE_STANDBY;
    expect(known).toEqual({
      replica: 'standby',
      address: 'standby:1',
      role,
      lagMs: 0,
      hasState: true,
      version: '1.0.0',
      revision,
    });
    leader.clock.advance(HEARTBEAT_MS);
    expect(leader.core.publisher.standbys()[0]!.lagMs).toBe(HEARTBEAT_MS);
    expect(standby.follower.replicas.map(({ replica }) => replica)).toEqual(['me', 'standby']);
  });

  it('says how old its trees are while it receives nothing', () => {
    const { leader, standby } = installation();
    expect(standby.follower.view!.lagMs).toBe(0);
    leader.clock.advance(7000);
    expect(standby.follower.view!.lagMs).toBe(7000);
    // A message that arrives late counts as under way all the time.
    standby.call.deliver();
    expect(standby.follower.view!.lagMs).toBe(7000 - HEARTBEAT_MS);
    while (standby.call.deliver());
    expect(standby.follower.view!.lagMs).toBe(0);
  });

  it('is behind only if nothing has come for 2 s, however long ago other messages came', () => {
    const { leader } = installation();
    const standby = new FakeStandby({ clock: leader.clock, replica: 'another', isLogged: true });
    standby.follow(leader);
    standby.catchUp(leader);
    for (let i = 0; i < 20; i++) {
      leader.clock.advance(HEARTBEAT_MS);
      while (standby.call.deliver());
    }
    leader.clock.advance(1999);
    expect(standby.log).toEqual([]);
    leader.clock.advance(1);
    expect(standby.log).toMatchObject([{ msg: 'the replica has fallen behind' }]);
  });

  it('forgets a gateway that is gone, with all its objects', () => {
    const { leader, gateway, standby, same } = installation();
    gateway.disconnect();
    leader.clock.advance(5000);
    standby.catchUp(leader);
    expect(leader.core.graves.has(gateway.id)).toBe(true);
    const { trees } = standby.follower.view!;
    expect([trees.gateways.size, trees.tree.counts.connections]).toEqual([0, 0]);
    same();
  });

  // Limits: replication/standby-stream.ts MAX_STANDBY_BYTES
  // Causes: metric spanmesh_topology_followers_cut_off_total
  it('that does not read is cut off, and comes back with a snapshot', () => {
    const { leader, gateway, standby, same } = installation();
    const slow = standby.call;
    slow.leaderEnd.accepts = false;
    // The first write reports a full buffer; later messages are queued.
    let most = 0;
    while (leader.core.publisher.cutOff === 0) {
      most = Math.max(most, leader.core.publisher.queuedBytes);
      expect(most).toBeLessThanOrEqual(MAX_STANDBY_BYTES);
      // Connections with long addresses: many bytes for little work.
      const opened = Array.from({ length: 500 }, () => gateway.openConnection('circuit', '1'.repeat(8000)));
      settle(leader, [gateway]);
      for (const connection of opened) gateway.closeConnection(connection);
      settle(leader, [gateway]);
    }
    // One turn adds some megabytes at most.
    expect(most).toBeGreaterThan(MAX_STANDBY_BYTES - 10 * 1024 * 1024);
    expect([slow.isOver, leader.core.publisher.queuedBytes]).toEqual([true, 0]);
    expect(standby.follower.isLive).toBe(false);
    const old = standby.follower.view!;
    leader.clock.advance(100);
    expect(standby.call).not.toBe(slow);
    standby.catchUp(leader);
    expect(standby.follower.isLive).toBe(true);
    expect(standby.follower.view!.trees).not.toBe(old.trees);
    same();
  });

  it('that takes long over its snapshot is not cut off for it, and gets the changes made meanwhile after it', async () => {
    const { leader, gateway, connection, standby, same } = installation();
    for (let i = 0; i < 1000; i++) gateway.openLink(connection, 10 + i);
    settle(leader, [gateway]);
    standby.call.end();
    leader.clock.advance(100);
    standby.call.leaderEnd.accepts = false;
    leader.core.flush();
    gateway.openLink(connection, 9999);
    settle(leader, [gateway]);
    expect(standby.call.deliver()).toBe(true);
    expect(standby.call.deliver()).toBe(false);
    standby.call.leaderEnd.drain();
    for (let i = 0; i < 3; i++) await nextTurn();
    standby.catchUp(leader);
    same();
  });

  it('is sent a snapshot in slices, one a turn, all of the same state, whatever changes meanwhile', async () => {
    const { leader, gateway, connection, standby } = installation();
    const links: number[] = [];
    for (let i = 0; i < 3000; i++) links.push(gateway.openLink(connection, 10 + i));
    const asking = gateway.openConnection();
    const lnkConn = gateway.openLnkConn(asking);
    settle(leader, [gateway]);
    standby.call.end();
    leader.clock.advance(100);
    const changes = [
      () => gateway.closeLink(links.at(-1)!),
      () => gateway.status(links.at(-2)!, 77),
      () => gateway.refuse([...gateway.relays.keys()].at(-1)!),
      () => gateway.openLink(gateway.openConnection(), 12),
      () => gateway.closeLnkConn(lnkConn),
      () => gateway.closeConnection(asking),
    ];
    const { leaderEnd } = standby.call;
    const made: number[] = [];
    leader.core.flush();
    while (made.length === 0 || made.at(-1)! > 0) {
      made.push(leaderEnd.sent.reduce((sum, { length }) => sum + length, 0));
      while (standby.call.deliver());
      changes.shift()?.();
      settle(leader, [gateway]);
      await nextTurn();
    }
    expect(changes).toEqual([]);
    expect(made.length).toBeGreaterThan(4);
    expect(Math.max(...made)).toBeLessThan(SNAPSHOT_TURN_BYTES + 512 * 1024);
    standby.catchUp(leader);
    expect(standby.follower).toMatchObject({ isLive: true, differences: 0 });
    expect(treeOf(standby.follower.view!)).toEqual(treeOf(leader.core.view()!));
  });

  it('that ends in the middle of its snapshot leaves no reader behind that copies changes', async () => {
    const { leader, gateway, connection, standby } = installation();
    for (let i = 0; i < 3000; i++) gateway.openLink(connection, 10 + i);
    settle(leader, [gateway]);
    const { tree } = leader.core.state.trees;
    const read = vi.spyOn(tree, 'read');
    standby.call.end();
    leader.clock.advance(100);
    leader.core.flush();
    const reader = read.mock.calls[0]![0];
    const changing = vi.spyOn(reader, 'changing');
    standby.call.leaderEnd.emit('cancelled');
    gateway.openLink(connection, 11);
    settle(leader, [gateway]);
    await nextTurn();
    expect([read.mock.calls.length, changing.mock.calls.length]).toEqual([1, 0]);
  });

  // Causes: metric spanmesh_topology_replica_differences_total, spanmesh_topology_replica_snapshots_total, spanmesh_topology_replica_following
  it('begins again when it is not what the leader has', () => {
    const { leader, gateway, connection, standby, same } = installation();
    const { trees } = standby.follower.view!;
    trees.closeLink([...trees.gateways.get(gateway.id)!.links.values()][0]);
    gateway.openLink(connection, 2);
    settle(leader, [gateway]);
    standby.catchUp(leader);
    expect([standby.follower.differences, standby.follower.isLive]).toEqual([1, false]);
    leader.clock.advance(100);
    standby.catchUp(leader);
    expect([standby.follower.differences, standby.follower.snapshots]).toEqual([1, 2]);
    same();
  });

  it.each([
    ['what the leader says', { code: status.UNAVAILABLE, details: 'This replica stops.' }, 'This replica stops.'],
    ['that the stream has ended', null, 'the stream has ended'],
  ])('says in its log why it cannot follow: %s', (_, error, why) => {
    const clock = new FakeClock();
    const standby = new FakeStandby({ clock, isLogged: true });
    standby.follow(new FakeLeader({ clock }));
    if (error === null) standby.call.stream.emit('end');
    else standby.call.end(error);
    expect(standby.log).toMatchObject([
      {
        level: 'warn',
        msg: 'the leader cannot be followed: trying again',
        leader: 'leader:1',
        why,
        suppressed: 0,
        ...(error && { code: error.code }),
      },
    ]);
  });

  it('passes reads on to a leader that speaks another version', () => {
    const { standby } = installation();
    standby.call.end({ code: status.UNIMPLEMENTED });
    expect(standby.follower.view).toBeUndefined();
  });

  // Limits: replication/publisher.ts MAX_STANDBYS
  it('is refused by a replica that does not lead, and by a leader that has enough standbys', () => {
    const { leader, standby } = installation();
    // Sixteen may follow, and one does already.
    const more = Array.from({ length: 16 }, (_, i) => new FakeStandby({ clock: leader.clock, replica: `s${i}` }));
    for (const one of more) one.follow(leader);
    expect(more.filter(({ call }) => call.isOver).length).toBe(1);
    leader.lose();
    expect([standby.call.isOver, standby.follower.isLive]).toEqual([true, false]);
    // The standby's trees remain.
    expect(standby.follower.view!.trees.tree.counts.links).toBe(1);
    const late = new FakeStandby({ clock: leader.clock });
    late.follow(leader);
    expect(late.call.isOver).toBe(true);
  });

  it('keeps its trees while a new leader attaches its gateways, then has that leader’s trees', () => {
    const { leader, gateway, standby } = installation();
    const presence = new FakePresence();
    presence.put(gateway.name, gateway.boot);
    gateway.disconnect();
    const next = new FakeLeader({ epoch: 2, presence, clock: leader.clock });
    standby.follow(next, 'next:1');
    standby.catchUp(next);
    leader.clock.advance(HEARTBEAT_MS);
    standby.catchUp(next);
    expect(standby.follower.isLive).toBe(false);
    expect(standby.follower.view!.trees.tree.counts.relays).toBe(1);
    settle(next, [gateway]);
    standby.catchUp(next);
    expect(answersOf(standby.follower.view!)).toEqual(answersOf(next.core.view()!));
    expect(gateway.needless).toBe(0);
  });

  it('lets a watch continue after a break without changes, and otherwise makes it list again', () => {
    const { leader, gateway, standby } = installation();
    const { history } = standby.follower.view!;
    let ends = 0;
    const stream = { cancelled: false, write: () => true, end: () => ends++, on: () => {}, once: () => {} };
    new Watch({ revision: '', withRelays: false }, { stream, history, clock: leader.clock, onEnd: () => {} }).begin();
    standby.call.end();
    leader.clock.advance(100);
    standby.catchUp(leader);
    expect([standby.follower.snapshots, ends]).toEqual([2, 0]);
    standby.call.end();
    gateway.hold({ dialect: Dialect.DIALECT_CIRCUIT, id: uuid(77), peerType: 1, peerLabel: '' });
    settle(leader, [gateway]);
    leader.clock.advance(200);
    standby.catchUp(leader);
    expect([standby.follower.snapshots, ends]).toEqual([3, 1]);
  });

  it('loses its stream, and the leader is unharmed, when a change cannot be encoded', () => {
    const { leader, gateway, connection, standby } = installation();
    leader.core.history.epoch = Number.NaN;
    gateway.openLink(connection, 2);
    settle(leader, [gateway]);
    expect(() => leader.core.flush()).not.toThrow();
    expect(standby.call.isOver).toBe(true);
    leader.core.history.epoch = leader.lease.epoch;
    gateway.openLink(connection, 3);
    settle(leader, [gateway]);
    leader.clock.advance(200);
    standby.catchUp(leader);
    expect(standby.follower.snapshots).toBe(2);
    expect(answersOf(standby.follower.view!)).toEqual(answersOf(leader.core.view()!));
  });

  it('waits a while for a revision that a client has seen at another replica', () => {
    const { leader, gateway, connection, standby } = installation();
    gateway.openLink(connection, 2);
    settle(leader, [gateway]);
    leader.core.flush();
    const { revision } = leader.core.history;
    const { history } = standby.follower.view!;
    const sent: unknown[] = [];
    const stream = {
      cancelled: false,
      write: (one: unknown) => sent.push(one) > 0,
      end: () => {},
      on: () => {},
      once: () => {},
    };
    const watch = (from: string, mayBeBehind: boolean) =>
      new Watch(
        { revision: from, withRelays: false },
        { stream, history, clock: leader.clock, onEnd: () => {}, mayBeBehind },
      ).begin();
    watch(revision, true);
    expect(sent).toEqual([{ created: { revision } }]);
    standby.catchUp(leader);
    gateway.openLink(connection, 3);
    settle(leader, [gateway]);
    standby.catchUp(leader);
    expect(sent.length).toBe(2);
    expect(sent[1]).toMatchObject({ changes: { revision: leader.core.history.revision } });
    const later = leader.core.history.revision.replace(/[0-9]+$/, '999');
    watch(later, false);
    expect(sent.at(-1)).toMatchObject({ listAgain: {} });
    watch(later, true);
    expect(sent.at(-1)).toEqual({ created: { revision: later } });
    leader.clock.advance(5000);
    expect(sent.at(-1)).toMatchObject({ listAgain: {} });
  });
});

describe('a replica that takes over', () => {
  it('waits for the gateways of its trees, and answers from these trees meanwhile', () => {
    const { leader, gateway } = installation();
    const { clock } = leader;
    const calls: FakeCall[] = [];
    const open = () => calls[calls.push(new FakeCall(leader)) - 1]!;
    const next = new FakeLeader({ clock, leads: false, following: { open, random: () => 0 } });
    const { core } = next;
    next.lose();
    leader.core.flush();
    while (calls[0]!.deliver());
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_STANDBY, lagMs: 0 });
    const { revision } = core.view()!.history;
    clock.advance(2000);
    next.lease.epoch = 2;
    next.lead();
    // No gateway is in the registry: only the trees show that there is one.
    expect([core.leadership.settled, core.leadership.mayCommand()]).toEqual([false, false]);
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_TAKING_OVER, lagMs: 2000 });
    expect(core.view()!.trees.tree.counts).toMatchObject({ links: 1, relays: 1 });
    expect(core.view()!.history.revision).toBe(revision);
    gateway.disconnect();
    settle(next, [gateway]);
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_LEADER, lagMs: 0, trees: core.state.trees });
    expect(core.follower.view).toBeUndefined();
    expect([core.state.trees.tree.counts.relays, gateway.needless, gateway.closes]).toEqual([1, 0, 0]);
  });
});

describe('how old the newest message is', () => {
  it('does not depend on what the clocks show, nor on their drifting apart', () => {
    const clock = new FakeClock();
    const lag = new Lag({ clock });
    // The other clock loses one millisecond in a hundred.
    const theirs = () => 1_000_000 + clock.now() * 0.99;
    for (let i = 0; i < 10_000; i++) {
      lag.heard(theirs());
      clock.advance(250);
    }
    expect(lag.ms).toBeLessThan(250 + 0.01 * 120_000 + 1);
    lag.heard(theirs() - 5000);
    expect(lag.ms).toBeGreaterThanOrEqual(5000);
  });
});
