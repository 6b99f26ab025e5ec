import { describe, expect, it } from 'vitest';
import { NIL_UUID } from './span.ts';
import { FILTER, IGNORED as ignored, nodeId, SPAN } from './testing/span.fixture.ts';
import { type Connection, DEFAULT_MAX_DIST, type Link, type LnkConn, SpanTree } from './tree.ts';
import { finish } from './tree-work.ts';

const LNK_CONNS = 8;

interface Mesh {
  readonly tree: SpanTree;
  readonly owner: Connection;
  readonly lnkConns: readonly LnkConn[];
  readonly links: readonly Link[];
}

function offer(tree: SpanTree, connection: Connection, id: number, node: number): Link {
  return tree.addLink(connection, id, { ...SPAN, dialect: 'linkid', nodeId: nodeId(node), stamp: id });
}

function ask(tree: SpanTree, id: number): LnkConn {
  return tree.addLnkConn(tree.addConnection('g', id), id, { ...FILTER, dialect: 'linkid' });
}

/** A tree of `nodes` nodes with one link each, every link relayed on all of LNK_CONNS LNK_CONNs. */
function mesh(nodes: number): Mesh {
  const tree = new SpanTree();
  const lnkConns = Array.from({ length: LNK_CONNS }, (_, i) => ask(tree, i));
  const owner = tree.addConnection('g', 1000);
  const links = Array.from({ length: nodes }, (_, node) => offer(tree, owner, node, node));
  tree.flush(ignored);
  return { tree, owner, lnkConns, links };
}

/** How many pairs and links the flush after `change` looks at. */
function cost(tree: SpanTree, change: () => void): { readonly pairs: number; readonly visits: number } {
  const [pairs, visits] = [tree.evaluations, tree.linkVisits];
  change();
  tree.flush(ignored);
  return { pairs: tree.evaluations - pairs, visits: tree.linkVisits - visits };
}

describe.each([{ nodes: 10 }, { nodes: 1000 }])('one change among $nodes nodes', ({ nodes }) => {
  it('a new link: its node for each LNK_CONN', () => {
    const { tree, owner } = mesh(nodes);
    expect(cost(tree, () => offer(tree, owner, nodes, nodes))).toEqual({ pairs: LNK_CONNS, visits: 1 });
    expect(cost(tree, () => offer(tree, owner, nodes + 1, 0))).toEqual({ pairs: LNK_CONNS, visits: 2 });
  });

  it('a removed link: nothing if it was the only one of its node, else its node for each LNK_CONN', () => {
    const { tree, links, owner } = mesh(nodes);
    expect(cost(tree, () => tree.removeLink(links[3]!)).pairs).toBe(0);
    const second = offer(tree, owner, nodes, 0);
    tree.flush(ignored);
    expect(cost(tree, () => tree.removeLink(second)).pairs).toBe(LNK_CONNS);
  });

  it('a new LNK_CONN: each node for it; a removed one: nothing', () => {
    const { tree, lnkConns } = mesh(nodes);
    expect(cost(tree, () => ask(tree, 2000)).pairs).toBe(nodes);
    expect(cost(tree, () => tree.removeLnkConn(lnkConns[0]!)).pairs).toBe(0);
  });

  it('a refusal, a suspect without competing links, no change at all: nothing', () => {
    const { tree, lnkConns, links, owner } = mesh(nodes);
    expect(cost(tree, () => tree.refuse(lnkConns[0]!, links[0]!)).pairs).toBe(0);
    expect(cost(tree, () => tree.setSuspect(owner, true)).pairs).toBe(0);
    expect(cost(tree, () => {}).pairs).toBe(0);
  });

  it('a suspect with competing links: the nodes of its links for each LNK_CONN; a second time: nothing', () => {
    const { tree, owner } = mesh(nodes);
    offer(tree, tree.addConnection('g', 5000), nodes, 0);
    tree.flush(ignored);
    expect(cost(tree, () => tree.setSuspect(owner, true)).pairs).toBe(LNK_CONNS);
    expect(cost(tree, () => tree.setSuspect(owner, true)).pairs).toBe(0);
  });

  it('a gateway becomes unreachable: the nodes of its links for each LNK_CONN', () => {
    const { tree } = mesh(nodes);
    const far = tree.addConnection('far', 5000);
    for (const node of [0, 1]) offer(tree, far, 5000 + node, node);
    tree.flush(ignored);
    const unreachable = new Set(['far', 'nobody']);
    expect(cost(tree, () => tree.setUnreachable('g', unreachable)).pairs).toBe(2 * LNK_CONNS);
    expect(cost(tree, () => tree.setUnreachable('g', unreachable)).pairs).toBe(0);
  });

  it('a gateway is held: nothing; it is released: each node for its LNK_CONNs', () => {
    const { tree, owner } = mesh(nodes);
    expect(cost(tree, () => tree.setHeld('g', true)).pairs).toBe(0);
    expect(cost(tree, () => offer(tree, owner, nodes, 0)).pairs).toBe(0);
    expect(cost(tree, () => tree.setHeld('g', false)).pairs).toBe(LNK_CONNS * nodes);
  });
});

it('a node with many links: a walk looks at no more links than it takes', () => {
  const { tree } = mesh(1);
  for (let i = 1; i <= 1000; i++) offer(tree, tree.addConnection('g', 5000 + i), i, 0);
  tree.flush(ignored);
  let last: Link | undefined;
  const joined = cost(tree, () => {
    last = offer(tree, tree.addConnection('g', 9000), 9000, 0);
  });
  expect(joined).toEqual({ pairs: LNK_CONNS, visits: 2 });
  expect(cost(tree, () => tree.removeLink(last!))).toEqual({ pairs: LNK_CONNS, visits: 2 });
});

describe('memory', () => {
  it('grows with relays, not with nodes times LNK_CONNs: leafs of one cluster each, then a leaf that wants all', () => {
    const [clusters, leafsOfEach, nodesOfEach] = [50, 100, 20];
    const tree = new SpanTree();
    const cluster = (n: number) => `c100${n.toString(16).padStart(4, '0')}-0a0b-11e4-8a21-01a2b3c4d5e6`;
    const owner = tree.addConnection('g', 100_000);
    const links: Link[] = [];
    for (let n = 0; n < clusters * nodesOfEach; n++) {
      links.push(tree.addLink(owner, n, { ...SPAN, clusterId: cluster(n % clusters), nodeId: nodeId(n), stamp: n }));
    }
    const ask = (id: number, clusterId: string) =>
      tree.addLnkConn(tree.addConnection('g', id), id, { ...FILTER, peerType: 63, clusterId });
    for (let id = 0; id < clusters * leafsOfEach; id++) ask(id, cluster(id % clusters));
    tree.flush(ignored);
    ask(clusters * leafsOfEach, NIL_UUID);
    tree.flush(ignored);

    const relays = links.length * (leafsOfEach + 1);
    expect(tree.counts.relays).toBe(relays);
    const bytes = links.reduce((sum, { node }) => sum + node.row.bytes, 0);
    expect(bytes).toBeLessThan(16 * relays);
    expect(bytes).toBeLessThan((4 * links.length * clusters * leafsOfEach) / 10);
  });

  /**
   * A node with two links of gateway `h`. One is relayed on 300 LNK_CONNs of gateway `g` (the row takes 1,216 bytes);
   * the other is too far for them.
   */
  function taken(): { tree: SpanTree; link: Link; lnkConns: LnkConn[] } {
    const tree = new SpanTree();
    const add = (id: number, dist: number) => tree.addLink(tree.addConnection('h', id), id, { ...SPAN, dist });
    const link = add(1, 0);
    add(2, DEFAULT_MAX_DIST + 1);
    const filter = { ...FILTER, peerType: 63 };
    const owner = tree.addConnection('g', 3);
    const lnkConns = Array.from({ length: 300 }, (_, id) => tree.addLnkConn(owner, id, filter));
    tree.flush(ignored);
    expect([tree.counts.relays, link.node.row.bytes]).toEqual([300, 4 * 304]);
    return { tree, link, lnkConns };
  }

  it.each<[string, (of: ReturnType<typeof taken>) => void]>([
    ['when the link goes', ({ tree, link }) => tree.removeLink(link)],
    ['when the LNK_CONNs go', ({ tree, lnkConns }) => lnkConns.forEach((one) => void tree.removeLnkConn(one))],
    [
      'when the relays are forgotten',
      ({ tree, lnkConns }) => lnkConns.forEach((one) => void finish(tree.forgettingRelays(one))),
    ],
    [
      'when the LNK_CONNs cannot reach the link',
      ({ tree }) => {
        tree.setUnreachable('g', new Set(['h']));
        tree.flush(ignored);
      },
    ],
  ])('is given back %s', (_, go) => {
    const { tree, link, ...rest } = taken();
    go({ tree, link, ...rest });
    expect(tree.counts.relays).toBe(0);
    expect(link.node.row.bytes).toBeLessThan(4 * 128);
  });
});
