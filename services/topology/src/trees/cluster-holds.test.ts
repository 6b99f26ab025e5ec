import { type ClusterKey, Dialect } from '@spanmesh/proto/v1/types';
import { type Cluster, SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { clustersOf } from '../api/lists.ts';
import { showCluster } from '../show/show-cluster.ts';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { ClusterHolds } from './cluster-holds.ts';
import { Gateway } from './gateway.ts';

// Written once more: a change of them must be noticed.
const MAX_HELD_CLUSTERS = 200_000;

/** The cluster of the fixture's spans. */
const SERVED: ClusterKey = { dialect: Dialect.DIALECT_CIRCUIT, id: uuid(1), peerType: 1, peerLabel: 'cluster' };
const EMPTY: ClusterKey = { dialect: Dialect.DIALECT_LINKID, id: uuid(7), peerType: 0, peerLabel: '' };

function clusters(leader: FakeLeader) {
  return [...clustersOf(leader.core.state.trees, Dialect.DIALECT_UNSPECIFIED, '')].map(showCluster);
}

/** The kinds of changes of clusters since the leader began. */
function kinds(leader: FakeLeader): string[] {
  const { history } = leader.core;
  const found: string[] = [];
  for (let at = 0; at < history.end; at++) {
    // Batches from before it led are not kept.
    for (const change of history.batch(at)?.changes ?? []) if (change.of === 'cluster') found.push(change.kind);
  }
  return found;
}

describe('clusters that clients of gateways hold', () => {
  it('are known without nodes until no client holds them', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a, b]);
    a.hold(EMPTY);
    b.hold(EMPTY);
    settle(leader, [a, b]);
    expect(clusters(leader)).toEqual([{ key: EMPTY, nodes: 0, links: 0, peerTypeName: '' }]);
    a.release(EMPTY);
    settle(leader, [a, b]);
    expect(clusters(leader)).toHaveLength(1);
    b.release(EMPTY);
    settle(leader, [a, b]);
    expect(clusters(leader)).toEqual([]);
    expect(kinds(leader)).toEqual(['added', 'removed']);
  });

  it('outlive their nodes, and the nodes outlive the hold', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    const peer = a.openConnection();
    settle(leader, [a]);
    a.hold(SERVED);
    settle(leader, [a]);
    const link = a.openLink(peer, 3);
    settle(leader, [a]);
    a.closeLink(link);
    settle(leader, [a]);
    expect(clusters(leader)).toMatchObject([{ key: SERVED, nodes: 0 }]);
    a.openLink(peer, 3);
    settle(leader, [a]);
    a.release(SERVED);
    settle(leader, [a]);
    expect(clusters(leader)).toMatchObject([{ key: SERVED, nodes: 1 }]);
    expect(kinds(leader)).toEqual(['added', 'changed', 'changed', 'changed']);
  });

  it('go with the gateway, and return with its snapshot', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    a.hold(EMPTY);
    settle(leader, [a]);
    expect(clusters(leader)).toHaveLength(1);
    const [gateway] = leader.core.state.gateways.values();
    leader.core.state.trees.remove(gateway!);
    expect(clusters(leader)).toEqual([]);
    a.connect(leader);
    settle(leader, [a]);
    expect(clusters(leader)).toHaveLength(1);
  });

  it('are those of the newest snapshot', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    a.hold(EMPTY);
    a.hold(SERVED);
    settle(leader, [a]);
    a.held = [SERVED];
    a.connect(leader);
    settle(leader, [a]);
    expect(clusters(leader)).toMatchObject([{ key: SERVED }]);
  });

  it('are checked: an invalid one is dropped', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    settle(leader, [a]);
    a.hold({ ...EMPTY, id: 'tank' });
    a.release({ ...EMPTY, id: uuid(99) });
    settle(leader, [a]);
    expect(clusters(leader)).toEqual([]);
    expect(leader.core.nonsense).toBe(1);
  });

  // Limits: trees/cluster-holds.ts MAX_HELD_CLUSTERS
  it('are a limited number for each gateway', () => {
    const told: string[] = [];
    const holds = new ClusterHolds(new SpanTree(), {
      tell: (event) => {
        if (event.of === 'cluster') told.push(event.kind);
        else if (event.of === 'nonsense') told.push(`nonsense: ${event.what}`);
      },
      journal: (_, { clusterHeld }) => told.push(clusterHeld === undefined ? 'released' : 'held'),
    });
    const gateway = new Gateway('a', '00000001', '', '');
    for (let i = 0; i < MAX_HELD_CLUSTERS - 1; i++) gateway.held.set(`${i}`, {} as Cluster);
    holds.hold(gateway, EMPTY);
    holds.hold(gateway, SERVED);
    expect(told).toEqual(['held', 'added', 'nonsense: cluster hold']);
    holds.release(gateway, EMPTY);
    holds.hold(gateway, SERVED);
    expect(told.slice(3)).toEqual(['released', 'removed', 'held', 'added']);
  });
});
