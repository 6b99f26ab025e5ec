import { status } from '@grpc/grpc-js';
import { Dialect } from '@spanmesh/proto/v1/types';
import { type Job, runNow } from '@spanmesh/runtime/grpc/slices';
import { describe, expect, it } from 'vitest';
import { FakeGateway, pairName } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { ANY as EVERYTHING } from '../testing/requests.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import type { Trees } from '../trees/trees.ts';
import { listClusters, listConnections, listLinks, listNodes, listRelays } from './lists.ts';

const ANY = { ...EVERYTHING, pageSize: 500 };
type Request = Partial<typeof ANY>;

/** Nodes of both dialects with several links at two gateways, LNK_CONNs with relays, and one relay on demand. */
function installation() {
  const leader = new FakeLeader();
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const circuit = a.openConnection();
  for (const node of [3, 1, 2]) a.openLink(circuit, node);
  const linkid = b.openConnection('linkid');
  for (const node of [2, 1]) b.openLink(linkid, node, 1);
  const second = b.openConnection();
  const onDemand = b.openLink(second, 1, 2);
  b.openLink(second, 4);
  const peers = [a.openConnection(), b.openConnection(), b.openConnection('linkid')] as const;
  const lnkConns = [
    a.openLnkConn(peers[0]),
    a.openLnkConn(peers[0]),
    b.openLnkConn(peers[1]),
    b.openLnkConn(peers[2]),
  ] as const;
  settle(leader, [a, b]);
  b.openOnDemand(pairName(b.id, onDemand, lnkConns[2]));
  settle(leader, [a, b]);
  return { state: leader.core.state, a, b, circuit, linkid, second, onDemand, peers, lnkConns };
}

/** The label that the fixture gives the node (`node<n>`); a linkid node has none of its own. */
const nodeOf = (id = ''): string => `node${Number.parseInt(id.slice(-4), 16)}`;

/** The lists, each reduced to the ids of its items. */
const LISTS = {
  clusters: (state: Trees, request: typeof ANY) => {
    const { clusters, nextPageToken } = runNow(listClusters(state, request));
    return { ids: clusters.map(({ key }) => `${key?.dialect} ${key?.id}`), nextPageToken };
  },
  nodes: (state: Trees, request: typeof ANY) => {
    const { nodes, nextPageToken } = runNow(listNodes(state, request));
    return { ids: nodes.map(({ key }) => `${key?.cluster?.dialect} ${nodeOf(key?.id)}`), nextPageToken };
  },
  links: (state: Trees, request: typeof ANY) => {
    const { links, nextPageToken } = runNow(listLinks(state, request));
    return { ids: links.map(({ id, node }) => `${node?.cluster?.dialect} ${nodeOf(node?.id)} ${id}`), nextPageToken };
  },
  connections: (state: Trees, request: typeof ANY) => {
    const { connections, nextPageToken } = runNow(listConnections(state, request));
    return { ids: connections.map(({ id, dialect }) => `${dialect} ${id}`), nextPageToken };
  },
  relays: (state: Trees, request: typeof ANY) => {
    const { relays, nextPageToken } = runNow(listRelays(state, request));
    return { ids: relays.map(({ link, lnkConn }) => `${lnkConn} ${link}`), nextPageToken };
  },
} as const;
type List = keyof typeof LISTS;
const ALL = Object.keys(LISTS) as List[];

function whole(state: Trees, list: List, request: Request = {}): string[] {
  const { ids, nextPageToken } = LISTS[list](state, { ...ANY, ...request });
  expect(nextPageToken).toBe('');
  return ids;
}

/** The ids that a list gives when it is read in pages. */
function paged(state: Trees, list: List, pageSize: number, request: Request = {}): string[] {
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = LISTS[list](state, { ...ANY, ...request, pageSize, pageToken });
    expect(page.ids.length).toBeLessThanOrEqual(pageSize);
    found.push(...page.ids);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return found;
}

describe('a list', () => {
  it.each(ALL)('of %s shows each item once, with pages of any size', (list) => {
    const { state } = installation();
    const ids = whole(state.trees, list);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(ids.length);
    for (const pageSize of [1, 2, 3, ids.length - 1, ids.length])
      expect(paged(state.trees, list, pageSize)).toEqual(ids);
  });

  it('has linkid before circuit, and the items of one gateway together', () => {
    const { state, a, b, circuit, second, linkid, peers } = installation();
    expect(whole(state.trees, 'clusters')).toEqual([`1 ${uuid(1)}`, `2 ${uuid(1)}`]);
    expect(whole(state.trees, 'nodes')).toEqual(['1 node1', '1 node2', '2 node1', '2 node2', '2 node3', '2 node4']);
    expect(whole(state.trees, 'connections')).toEqual([
      `2 ${a.id}:${circuit}`,
      `2 ${a.id}:${peers[0]}`,
      `1 ${b.id}:${linkid}`,
      `2 ${b.id}:${second}`,
      `2 ${b.id}:${peers[1]}`,
      `1 ${b.id}:${peers[2]}`,
    ]);
  });

  it.each(ALL)('of %s has only those of one dialect, if asked', (list) => {
    const { state, lnkConns, b } = installation();
    // Relays are of the dialect of their LNK_CONN.
    const isLinkid = (id: string) =>
      list === 'relays' ? id.startsWith(`${b.id}:${lnkConns[3]} `) : id.startsWith('1 ');
    const ids = whole(state.trees, list);
    for (const pageSize of [1, 500]) {
      expect(paged(state.trees, list, pageSize, { dialect: Dialect.DIALECT_LINKID })).toEqual(ids.filter(isLinkid));
      expect(paged(state.trees, list, pageSize, { dialect: Dialect.DIALECT_CIRCUIT })).toEqual(
        ids.filter((id) => !isLinkid(id)),
      );
    }
    expect(() => whole(state.trees, list, { dialect: 9 as Dialect })).toThrow(
      expect.objectContaining({ code: status.INVALID_ARGUMENT }),
    );
  });

  // Causes: code api/lists.ts INVALID_ARGUMENT
  it('of clusters, nodes and links has those of one cluster, whose id is written in full', () => {
    const { state } = installation();
    for (const [list, field] of [
      ['clusters', 'id'],
      ['nodes', 'clusterId'],
      ['links', 'clusterId'],
    ] as const) {
      expect(whole(state.trees, list, { [field]: uuid(1).toUpperCase() })).toEqual(whole(state.trees, list));
      expect(whole(state.trees, list, { [field]: uuid(2) })).toEqual([]);
      expect(() => whole(state.trees, list, { [field]: uuid(1).slice(1) })).toThrow(
        expect.objectContaining({ code: status.INVALID_ARGUMENT }),
      );
    }
  });

  it('of nodes, links and relays can be limited to one node, by its id or its label', () => {
    const { state } = installation();
    expect(whole(state.trees, 'nodes', { node: 'node1' })).toEqual(['1 node1', '2 node1']);
    for (const list of ['nodes', 'links'] as const) {
      const ofNode = whole(state.trees, list).filter((id) => id.includes('node1'));
      for (const node of ['node1', uuid(1)]) {
        expect(whole(state.trees, list, { node })).toEqual(ofNode);
        expect(paged(state.trees, list, 1, { node })).toEqual(ofNode);
      }
      expect(whole(state.trees, list, { node: 'nobody' })).toEqual([]);
    }
    const relays = [1, 2, 3, 4].flatMap((node) => whole(state.trees, 'relays', { node: `node${node}` }));
    expect(relays.toSorted()).toEqual(whole(state.trees, 'relays').toSorted());
    expect(paged(state.trees, 'relays', 1, { node: 'node1' })).toEqual(whole(state.trees, 'relays', { node: 'node1' }));
  });

  it('of links and relays can be limited to one connection; an unknown one has none', () => {
    const { state, a, b, circuit, peers } = installation();
    const links = whole(state.trees, 'links', { connection: `${a.id}:${circuit}` });
    expect(links).toHaveLength(3);
    expect(paged(state.trees, 'links', 1, { connection: `${a.id}:${circuit}` })).toEqual(links);
    const relays = peers.flatMap((peer, i) =>
      whole(state.trees, 'relays', { connection: `${i === 0 ? a.id : b.id}:${peer}` }),
    );
    expect(relays).toEqual(whole(state.trees, 'relays'));
    for (const list of ['links', 'relays'] as const)
      expect(whole(state.trees, list, { connection: 'nobody' })).toEqual([]);
  });

  it('of relays can be limited to one link, and includes relays on demand', () => {
    const { state, b, onDemand } = installation();
    const link = `${b.id}:${onDemand}`;
    const found = whole(state.trees, 'relays', { link });
    expect(found.length).toBeGreaterThan(0);
    expect(found).toEqual(whole(state.trees, 'relays').filter((id) => id.endsWith(` ${link}`)));
  });

  it('of connections can be limited to one gateway, by its id or its name', () => {
    const { state, a, b } = installation();
    const all = whole(state.trees, 'connections');
    for (const gateway of [b.id, 'b']) {
      for (const pageSize of [1, 500]) {
        expect(paged(state.trees, 'connections', pageSize, { gateway })).toEqual(all.filter((id) => id.includes(b.id)));
      }
    }
    expect(whole(state.trees, 'connections', { gateway: 'nobody' })).toEqual([]);
    expect(all.some((id) => id.includes(a.id))).toBe(true);
  });

  it.each(['nodes', 'links', 'relays'] as const)('of %s goes on after a node that is gone meanwhile', (list) => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    a.openLnkConn(a.openConnection());
    const links = [1, 2, 3].map((node) => a.openLink(a.openConnection(), node));
    settle(leader, [a]);
    const { trees } = leader.core.state;
    const all = whole(trees, list);
    expect(all).toHaveLength(3);
    // Each time the first node of the cluster goes.
    for (const gone of [1, 2]) {
      const { nextPageToken: pageToken } = LISTS[list](trees, { ...ANY, pageSize: 1 });
      a.closeLink(links[gone - 1]!);
      settle(leader, [a]);
      expect(whole(trees, list, { pageToken })).toEqual(all.slice(gone));
    }
  });

  it('is made in steps, and fails for a token that no list has given', () => {
    const { state } = installation();
    const steps = (job: Job<object>) => [...(job as Iterable<number>)];
    expect(steps(listClusters(state.trees, ANY)).length).toBeGreaterThan(0);
    for (const list of ALL) {
      expect(() => LISTS[list](state.trees, { ...ANY, pageToken: 'x' })).toThrow(
        expect.objectContaining({ code: status.INVALID_ARGUMENT }),
      );
    }
  });
});
