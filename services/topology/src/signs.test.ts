import { EventEmitter } from 'node:events';
import { Metadata } from '@grpc/grpc-js';
import { EventKind } from '@spanmesh/proto/v1/events';
import type { WatchRequest } from '@spanmesh/proto/v1/topology';
import { changes, samples } from '@spanmesh/runtime/metrics.fixture';
import { describe, expect, it } from 'vitest';
import { FakeGateway, pairName } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { FakeStandby } from './testing/standby.fixture.ts';
import { settle } from './testing/world.fixture.ts';

/** Two gateways: `a` has a link, which is relayed at `b`. */
function world() {
  const leader = new FakeLeader({ isLogged: true });
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const come = () => {
    for (const { name, boot } of [a, b]) leader.presence.put(name, boot);
    settle(leader, [a, b]);
  };
  const offer = () => {
    const link = a.openLink(a.openConnection(), 1);
    const lnkConn = b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    return pairName(a.id, link, lnkConn);
  };
  const pass = (ms: number, gateways: FakeGateway[] = [b]) => {
    for (let passed = 0; passed < ms; passed += 500) {
      leader.clock.advance(500);
      settle(leader, gateways);
    }
  };
  const changed = (cause: () => unknown) => changes(leader.metrics, cause);
  return { leader, a, b, come, offer, pass, changed };
}

/** Events that were reported since the last call. */
function told({ told: all }: FakeLeader, ...kinds: EventKind[]): string[] {
  const found = all.filter(({ kind }) => kinds.includes(kind)).map(({ subject }) => subject);
  all.length = 0;
  return found;
}

describe('a leader shows', () => {
  // Causes: metric spanmesh_topology_leading, spanmesh_topology_epoch
  // Causes: event LEADER_CHANGED
  it('that it leads, under which epoch, and that it does not any more', async () => {
    const leader = new FakeLeader({ epoch: 5 });
    expect(await samples(leader.metrics)).toMatchObject({ topology_leading: 1, topology_epoch: 5 });
    expect(await changes(leader.metrics, () => leader.lose())).toMatchObject({ topology_leading: -1 });
    leader.told.length = 0;
    const leads = () => {
      leader.lease.epoch = 7;
      leader.lead();
    };
    expect(await changes(leader.metrics, leads)).toMatchObject({
      topology_leading: 1,
      topology_epoch: 2,
    });
    expect(told(leader, EventKind.EVENT_KIND_LEADER_CHANGED)).toEqual(['topology at me:1']);
  });

  // Causes: metric spanmesh_topology_gateways, spanmesh_topology_gateways_live, spanmesh_topology_attaches_total
  // Causes: metric spanmesh_topology_gateways_silent, spanmesh_topology_gateways_dead_total, spanmesh_topology_processes_missing
  // Causes: event GATEWAY_JOINED, GATEWAY_LOST, GATEWAY_DEAD
  // Causes: line gateway is dead
  it('gateways that come, are lost, and are dead', async () => {
    const { leader, a, come, pass, changed } = world();
    expect(await changed(come)).toMatchObject({
      topology_gateways: 2,
      topology_gateways_live: 2,
      topology_attaches_total: 2,
    });
    expect(told(leader, EventKind.EVENT_KIND_GATEWAY_JOINED)).toEqual(['a.00000001', 'b.00000001']);
    const lost = await changed(() => {
      a.disconnect();
      leader.presence.silence('a');
      pass(1000);
    });
    expect(lost).toMatchObject({
      topology_gateways_live: -1,
      topology_gateways_silent: 1,
      'topology_processes_missing{kind="link-gateway"}': 1,
    });
    expect(lost).not.toHaveProperty('topology_gateways_dead_total');
    expect(told(leader, EventKind.EVENT_KIND_GATEWAY_LOST)).toEqual([a.id]);
    const dead = await changed(() => pass(5000));
    expect(dead).toMatchObject({
      topology_gateways: -1,
      topology_gateways_dead_total: 1,
      topology_gateways_silent: -1,
    });
    expect(told(leader, EventKind.EVENT_KIND_GATEWAY_DEAD)).toEqual([a.id]);
    expect(leader.log.filter(({ msg }) => msg === 'gateway is dead')).toMatchObject([{ level: 'warn', gateway: a.id }]);
  });

  // Causes: event REPLICA_JOINED, REPLICA_LOST
  it('replicas that come, and are not heard any more', () => {
    const { leader, pass } = world();
    const { presence } = leader;
    presence.replicas.push('other:1');
    pass(1000, []);
    expect(told(leader, EventKind.EVENT_KIND_REPLICA_JOINED)).toEqual(['topology at other:1']);
    presence.replicas.length = 0;
    presence.silent.push({ kind: 'topology', id: 'x', name: 'other:1', since: leader.clock.now() });
    pass(1000, []);
    expect(told(leader, EventKind.EVENT_KIND_REPLICA_LOST)).toEqual(['topology at other:1']);
  });

  // Causes: metric spanmesh_topology_connections, spanmesh_topology_lnk_conns, spanmesh_topology_clusters, spanmesh_topology_nodes
  // Causes: metric spanmesh_topology_links, spanmesh_topology_relays, spanmesh_topology_relays_opened_total, spanmesh_topology_history_bytes
  // Causes: metric spanmesh_topology_relays_refused, spanmesh_topology_relays_closed_total, spanmesh_topology_open
  it('what is in the trees, and a relay that its peer refuses', async () => {
    const { leader, a, b, come, offer, changed } = world();
    come();
    let pair = '';
    const offered = await changed(() => {
      pair = offer();
    });
    expect(offered).toMatchObject({
      topology_connections: 2,
      topology_lnk_conns: 1,
      topology_clusters: 1,
      topology_nodes: 1,
      topology_links: 1,
      topology_relays: 1,
      topology_relays_opened_total: 1,
    });
    expect(offered.topology_history_bytes).toBeGreaterThan(0);
    expect(Object.keys(offered).filter((name) => name.startsWith('topology_open{'))).not.toEqual([]);
    const refused = await changed(() => {
      b.refuse(pair);
      settle(leader, [a, b]);
    });
    expect(refused).toMatchObject({
      topology_relays: -1,
      topology_relays_refused: 1,
      'topology_relays_closed_total{reason="refused"}': 1,
    });
  });

  // Causes: metric spanmesh_topology_queued_bytes
  it('commands that a gateway does not read', async () => {
    const { leader, a, b, come, offer } = world();
    come();
    offer();
    if (b.stream !== undefined) b.stream.accepts = false;
    for (const node of [2, 3]) {
      a.openLink(a.openConnection(), node);
      settle(leader, [a]);
    }
    expect((await samples(leader.metrics)).topology_queued_bytes).toBeGreaterThan(0);
    b.stream?.drain();
    expect(await samples(leader.metrics)).toMatchObject({ topology_queued_bytes: 0 });
  });

  // Causes: metric spanmesh_topology_watches
  it('who watches', async () => {
    const { leader, come, changed } = world();
    come();
    const request: WatchRequest = { revision: leader.core.history.revision, withRelays: false };
    const call = Object.assign(new EventEmitter(), {
      request,
      metadata: new Metadata(),
      getPeer: () => '127.0.0.1:1',
      sendMetadata: () => {},
      write: () => true,
      end: () => {},
      cancelled: false,
    });
    expect(await changed(() => leader.core.api.implementation.watch(call as never))).toMatchObject({
      topology_watches: 1,
    });
    expect(await changed(() => call.emit('cancelled'))).toMatchObject({ topology_watches: -1 });
  });

  // Causes: metric spanmesh_topology_followers, spanmesh_topology_follower_messages_total, spanmesh_topology_follower_bytes_total
  // Causes: metric spanmesh_topology_follower_queued_bytes
  it('standbys that follow, and one that does not read', async () => {
    const { leader, a, b, come, offer, changed } = world();
    come();
    offer();
    const standby = new FakeStandby({ clock: leader.clock });
    const follows = await changed(() => {
      standby.follow(leader);
      standby.catchUp(leader);
    });
    expect(follows).toMatchObject({ topology_followers: 1 });
    expect(follows.topology_follower_messages_total).toBeGreaterThan(0);
    expect(follows.topology_follower_bytes_total).toBeGreaterThan(100);
    const { leaderEnd } = standby.call;
    leaderEnd.accepts = false;
    for (const node of [2, 3]) {
      a.openLink(a.openConnection(), node);
      settle(leader, [a, b]);
    }
    expect((await samples(leader.metrics)).topology_follower_queued_bytes).toBeGreaterThan(0);
    leaderEnd.drain();
    expect(await samples(leader.metrics)).toMatchObject({ topology_follower_queued_bytes: 0 });
    expect(await changed(() => standby.follower.stop())).toMatchObject({ topology_followers: -1 });
  });

  // Causes: metric spanmesh_topology_replica_lag_seconds
  it('how old what it answers is while its lease does not hold', async () => {
    const { leader, come } = world();
    come();
    expect(await samples(leader.metrics)).toMatchObject({ topology_replica_lag_seconds: 0 });
    leader.freeze();
    leader.clock.advance(1500);
    expect(await samples(leader.metrics)).toMatchObject({ topology_leading: 0, topology_replica_lag_seconds: 1.5 });
  });
});
