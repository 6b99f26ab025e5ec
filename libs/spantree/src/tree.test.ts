import { describe, expect, it } from 'vitest';
import { kept } from './collected.fixture.ts';
import { SpanTreeError } from './errors.ts';
import { NIL_UUID } from './span.ts';
import { FILTER as filter, IGNORED as ignored, SPAN as span } from './testing/span.fixture.ts';
import { type Connection, type Link, type LnkConn, type SpanKey, SpanTree } from './tree.ts';
import { finish } from './tree-work.ts';

const { clusterId: CLUSTER, nodeId: NODE } = span;
const NIL = NIL_UUID;

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof SpanTreeError) return error.code;
    throw error;
  }
  return 'none';
}

function offer(tree: SpanTree, connection: Connection, ...spans: Partial<SpanKey>[]): void {
  for (const [id, part] of spans.entries()) tree.addLink(connection, id, { ...span, ...part });
}

describe('clusters and nodes', () => {
  it('circuit: identified and sorted by (peer_type, uuid, label) and (label, uuid)', () => {
    const tree = new SpanTree();
    const later = '0f000000-0a0b-11e4-8a21-01a2b3c4d5e6';
    offer(
      tree,
      tree.addConnection('g', 1),
      { peerType: 3, clusterId: CLUSTER, peerLabel: 'b' },
      { peerType: 3, clusterId: CLUSTER, peerLabel: 'a', nodeId: NODE, label: 'y' },
      { peerType: 3, clusterId: CLUSTER, peerLabel: 'a', nodeId: NODE, label: 'x' },
      { peerType: 3, clusterId: CLUSTER, peerLabel: 'a', nodeId: later, label: 'y' },
      { peerType: 3, clusterId: later, peerLabel: 'z' },
      { peerType: 2, clusterId: CLUSTER, peerLabel: 'z' },
    );
    const clusters = [...tree.clusters()];
    expect(clusters.map((c) => [c.peerType, c.clusterId, c.peerLabel])).toEqual([
      [2, CLUSTER, 'z'],
      [3, later, 'z'],
      [3, CLUSTER, 'a'],
      [3, CLUSTER, 'b'],
    ]);
    expect(clusters[2]!.nodes().map((n) => [n.label, n.nodeId])).toEqual([
      ['x', NODE],
      ['y', later],
      ['y', NODE],
    ]);
  });

  it('linkid: identified by uuid only; a node keeps the label of its first link', () => {
    const tree = new SpanTree();
    offer(
      tree,
      tree.addConnection('g', 1),
      { dialect: 'linkid', label: 'first', peerType: 3, dist: 5 },
      { dialect: 'linkid', label: 'second', peerType: 2, dist: 1 },
    );
    const [cluster, ...others] = [...tree.clusters()];
    expect(others).toEqual([]);
    expect(cluster!.nodes().map((n) => [n.label, n.links.length])).toEqual([['first', 2]]);
    expect([cluster!.peerType, cluster!.peerLabel]).toEqual([0, '']);
    expect(tree.holdCluster({ ...span, dialect: 'linkid', clusterId: NIL, peerLabel: 'any' })).toMatchObject({
      peerType: 0,
      peerLabel: '',
    });
    expect(tree.findCluster({ ...span, dialect: 'linkid', peerType: 9, peerLabel: 'any' })).toBe(cluster);
  });

  it("the dialects' clusters are separate, linkid's first", () => {
    const tree = new SpanTree();
    offer(tree, tree.addConnection('g', 1), {}, { dialect: 'linkid' });
    expect([...tree.clusters()].map((c) => c.dialect)).toEqual(['linkid', 'circuit']);
    for (const dialect of ['linkid', 'circuit'] as const) {
      expect(tree.clustersOf(dialect).map((c) => c.dialect)).toEqual([dialect]);
    }
  });

  it('go with their last link, unless the cluster is held', () => {
    const tree = new SpanTree();
    const connection = tree.addConnection('g', 1);
    offer(tree, connection, {});
    const held = tree.holdCluster(span);
    tree.holdCluster(span);
    tree.removeConnection(connection);
    expect(tree.counts).toMatchObject({ clusters: 1, nodes: 0, links: 0, connections: 0 });
    tree.releaseCluster(held);
    expect(tree.findCluster(span)).toBe(held);
    tree.releaseCluster(held);
    tree.releaseCluster(held);
    expect(tree.counts.clusters).toBe(0);
  });

  it('a held cluster accepts nodes', () => {
    const tree = new SpanTree();
    const held = tree.holdCluster(span);
    offer(tree, tree.addConnection('g', 1), {});
    expect(held.nodeCount).toBe(1);
    expect(tree.findCluster(span)).toBe(held);
    tree.releaseCluster(held);
    expect(tree.findCluster(span)).toBe(held);
  });

  it('stays held after a release that nobody had held it for', () => {
    const tree = new SpanTree();
    const owner = tree.addConnection('g', 1);
    const { cluster } = tree.addLink(owner, 1, span).node;
    tree.releaseCluster(cluster);
    expect(tree.holdCluster(span)).toBe(cluster);
    tree.removeConnection(owner);
    expect(tree.findCluster(span)).toBe(cluster);
  });
});

describe('flush', () => {
  it('hands out the relays of a link on several LNK_CONNs one after the other', () => {
    const tree = new SpanTree({ widths: { circuit: 2 } });
    for (let i = 0; i < 3; i++) tree.addLnkConn(tree.addConnection('g', i), i, filter);
    for (let i = 10; i < 12; i++) tree.addLink(tree.addConnection('g', i), i, span);
    const opened: number[] = [];
    tree.flush({ open: (link) => opened.push(link.id), close: () => {} });
    expect(opened).toEqual([10, 10, 10, 11, 11, 11]);
  });

  it('reports relays that went with a connection, its links or its LNK_CONNs, once', () => {
    const tree = new SpanTree();
    const a = tree.addConnection('g', 1);
    const b = tree.addConnection('g', 2);
    tree.addLnkConn(a, 3, filter);
    tree.addLnkConn(b, 4, filter);
    tree.addLink(a, 5, span);
    tree.addLink(b, 6, { ...span, nodeId: CLUSTER });
    tree.flush(ignored);
    tree.removeConnection(a);
    const gone: string[] = [];
    const sink = { ...ignored, gone: (l: { id: number }, k: { id: number }) => gone.push(`${l.id} on ${k.id}`) };
    tree.flush(sink);
    tree.flush(sink);
    expect(gone.sort()).toEqual(['5 on 4', '6 on 3']);
    expect(tree.counts).toMatchObject({ relays: 0, links: 1, lnkConns: 1, nodes: 1 });
  });

  it('does not report them after forgetGone', () => {
    const tree = new SpanTree();
    tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
    const link = tree.addLink(tree.addConnection('g', 2), 2, span);
    tree.flush(ignored);
    tree.removeLink(link);
    tree.forgetGone();
    tree.flush({
      ...ignored,
      gone: () => {
        throw new Error('told');
      },
    });
    expect(tree.counts.relays).toBe(0);
  });

  it('refuses changes from its callbacks, and works again afterwards', () => {
    const tree = new SpanTree();
    tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
    const connection = tree.addConnection('g', 2);
    tree.addLink(connection, 2, span);
    const change = (): void => tree.removeConnection(connection);
    expect(code(() => tree.flush({ open: change, close: () => {} }))).toBe('reentrant');
    tree.removeConnection(connection);
    tree.addLink(tree.addConnection('g', 3), 3, span);
    const opened: number[] = [];
    tree.flush({ open: (link) => opened.push(link.id), close: () => {} });
    expect(opened).toEqual([3]);
  });
});

describe('within a flush', () => {
  const changes: [
    string,
    (tree: SpanTree, of: { connection: Connection; link: Link; lnkConn: LnkConn; idle: Connection }) => unknown,
  ][] = [
    ['addConnection', (tree) => tree.addConnection('g', 9)],
    ['removeConnection', (tree, { connection }) => tree.removeConnection(connection)],
    ['removeConnection of one with nothing on it', (tree, { idle }) => tree.removeConnection(idle)],
    ['setSuspect', (tree, { connection }) => tree.setSuspect(connection, true)],
    ['addLnkConn', (tree, { connection }) => tree.addLnkConn(connection, 9, filter)],
    ['removeLnkConn', (tree, { lnkConn }) => tree.removeLnkConn(lnkConn)],
    ['addLink', (tree, { connection }) => tree.addLink(connection, 9, span)],
    ['removeLink', (tree, { link }) => tree.removeLink(link)],
    ['refuse', (tree, { lnkConn, link }) => tree.refuse(lnkConn, link)],
    ['setUnreachable', (tree) => tree.setUnreachable('g', new Set(['h']))],
    ['setHeld', (tree) => tree.setHeld('g', true)],
    ['forgettingRelays', (tree, { lnkConn }) => finish(tree.forgettingRelays(lnkConn))],
    ['adoptRelay', (tree, { lnkConn, link }) => tree.adoptRelay(lnkConn, link)],
    ['adoptRefusal', (tree, { lnkConn, link }) => tree.adoptRefusal(lnkConn, link)],
    ['holdCluster', (tree) => tree.holdCluster(span)],
    ['releaseCluster', (tree, { link }) => tree.releaseCluster(link.node.cluster)],
    ['flush', (tree) => tree.flush(ignored)],
  ];
  it.each(changes)('%s is refused', (_, change) => {
    const tree = new SpanTree();
    const connection = tree.addConnection('g', 1);
    const link = tree.addLink(connection, 1, span);
    const lnkConn = tree.addLnkConn(tree.addConnection('g', 2), 2, filter);
    const idle = tree.addConnection('g', 3);
    const open = () => change(tree, { connection, link, lnkConn, idle });
    expect(code(() => tree.flush({ open, close: () => {} }))).toBe('reentrant');
  });
});

describe('a removed object', () => {
  it('may still be named in reports, without effect', () => {
    const tree = new SpanTree();
    const peer = tree.addConnection('g', 1);
    const lnkConn = tree.addLnkConn(peer, 1, filter);
    const owner = tree.addConnection('g', 2);
    const link = tree.addLink(owner, 2, span);
    tree.flush(ignored);
    tree.removeConnection(owner);
    tree.removeConnection(owner);
    tree.removeLink(link);
    tree.refuse(lnkConn, link);
    tree.adoptRelay(lnkConn, link);
    tree.adoptRefusal(lnkConn, link);
    finish(tree.forgettingRelays(lnkConn));
    tree.setSuspect(owner, true);
    tree.removeLnkConn(lnkConn);
    tree.removeLnkConn(lnkConn);
    expect([...link.relays, ...lnkConn.relays()]).toEqual([]);
    expect(tree.counts).toEqual({
      clusters: 0,
      nodes: 0,
      links: 0,
      lnkConns: 0,
      relays: 0,
      connections: 1,
      refused: 0,
    });
  });

  it('leaves nothing in its slot or ref for the next object', () => {
    const tree = new SpanTree();
    const owner = tree.addConnection('g', 1);
    const link = tree.addLink(owner, 1, span);
    const peer = tree.addConnection('g', 2);
    const first = tree.addLnkConn(peer, 2, filter);
    tree.flush(ignored);
    tree.removeLnkConn(first);
    const second = tree.addLnkConn(peer, 3, filter);
    expect([...second.relays()]).toEqual([]);
    tree.flush(ignored);
    expect([...second.relays()]).toEqual([link]);
    expect([...first.relays()]).toEqual([]);
  });

  it('is not confused with the object that has its slot or ref by a late report', () => {
    const tree = new SpanTree();
    const owner = tree.addConnection('g', 1);
    const peer = tree.addConnection('g', 2);
    // Another link keeps the node alive, so that the new link gets the removed one's ref in the same row.
    tree.addLink(owner, 1, { ...span, dist: 17 });
    const goneLink = tree.addLink(owner, 2, span);
    const goneLnkConn = tree.addLnkConn(peer, 3, filter);
    tree.removeLink(goneLink);
    tree.removeLnkConn(goneLnkConn);
    const link = tree.addLink(owner, 4, span);
    const lnkConn = tree.addLnkConn(peer, 5, filter);
    expect([link.ref, lnkConn.slot]).toEqual([goneLink.ref, goneLnkConn.slot]);
    tree.flush(ignored);
    const late = [
      [goneLnkConn, link],
      [lnkConn, goneLink],
    ] as const;
    for (const [ofLnkConn, ofLink] of late) {
      tree.refuse(ofLnkConn, ofLink);
      tree.adoptRefusal(ofLnkConn, ofLink);
      expect(tree.counts).toMatchObject({ relays: 1, refused: 0 });
      expect([link.relayCount, lnkConn.relayCount, lnkConn.has(link)]).toEqual([1, 1, true]);
    }
    finish(tree.forgettingRelays(goneLnkConn));
    expect(tree.counts.relays).toBe(1);
    finish(tree.forgettingRelays(lnkConn));
    for (const [ofLnkConn, ofLink] of late) tree.adoptRelay(ofLnkConn, ofLink);
    expect(tree.counts.relays).toBe(0);
    tree.removeLnkConn(goneLnkConn);
    tree.removeLink(goneLink);
    expect(tree.counts).toMatchObject({ links: 2, lnkConns: 1 });
  });
});

describe('a call that is repeated', () => {
  it('counts once', () => {
    const tree = new SpanTree();
    const link = tree.addLink(tree.addConnection('g', 1), 1, span);
    const lnkConn = tree.addLnkConn(tree.addConnection('g', 2), 2, filter);
    const counts = () => [tree.counts.relays, tree.counts.refused, link.relayCount, lnkConn.relayCount];
    for (let times = 0; times < 2; times++) {
      tree.adoptRelay(lnkConn, link);
      expect(counts()).toEqual([1, 0, 1, 1]);
    }
    for (let times = 0; times < 2; times++) {
      tree.refuse(lnkConn, link);
      expect(counts()).toEqual([0, 1, 0, 0]);
    }
    for (let times = 0; times < 2; times++) {
      tree.adoptRefusal(lnkConn, link);
      expect(counts()).toEqual([0, 1, 0, 0]);
    }
    tree.removeLink(link);
    expect(counts()).toEqual([0, 0, 0, 0]);
  });

  it('a relay that one peer has refused stays refused when a link that another peer takes goes', () => {
    const tree = new SpanTree({ widths: { circuit: 2 } });
    const [one, other] = [tree.addConnection('g', 1), tree.addConnection('g', 2)];
    const near = tree.addLink(tree.addConnection('g', 3), 3, span);
    // Not relayed to `other`: it is that peer's own link.
    const far = tree.addLink(other, 4, { ...span, dist: 1 });
    const [first, second] = [one, other].map((connection) => tree.addLnkConn(connection, 5, filter)) as [
      LnkConn,
      LnkConn,
    ];
    tree.flush(ignored);
    expect([first.relayCount, second.relayCount]).toEqual([2, 1]);
    for (const lnkConn of [first, second]) tree.refuse(lnkConn, near);
    expect(tree.counts.refused).toBe(2);
    tree.removeLink(far);
    expect(tree.counts.refused).toBe(1);
    const opened: LnkConn[] = [];
    tree.flush({ ...ignored, open: (_, lnkConn) => opened.push(lnkConn) });
    expect(opened.map((one) => one === first)).toEqual([true]);
    expect([...near.refusals()].map((one) => one === second)).toEqual([true]);
  });

  it.each<[string, (tree: SpanTree, lnkConn: LnkConn) => void]>([
    ['removed', (tree, lnkConn) => tree.removeLnkConn(lnkConn)],
    ['forgotten', (tree, lnkConn) => finish(tree.forgettingRelays(lnkConn))],
  ])('a refusal is not counted any more once its LNK_CONN or its relays are %s', (_, go) => {
    const tree = new SpanTree({ widths: { circuit: 2 } });
    const links = [1, 2].map((id) => tree.addLink(tree.addConnection('g', id), id, span));
    const lnkConn = tree.addLnkConn(tree.addConnection('g', 3), 3, filter);
    tree.flush(ignored);
    tree.refuse(lnkConn, links[0]!);
    expect(tree.counts).toMatchObject({ relays: 1, refused: 1 });
    go(tree, lnkConn);
    expect(tree.counts).toMatchObject({ relays: 0, refused: 0 });
  });
});

describe('objects that come and go', () => {
  it('reuse the slots and refs of removed ones', () => {
    const tree = new SpanTree();
    const owner = tree.addConnection('g', 1);
    tree.addLink(owner, 0, span);
    const peer = tree.addConnection('g', 2);
    tree.addLnkConn(peer, 0, filter);
    for (let id = 1; id <= 100; id++) {
      const link = tree.addLink(owner, id, span);
      const lnkConn = tree.addLnkConn(peer, id, filter);
      tree.flush(ignored);
      expect([link.ref, lnkConn.slot]).toEqual([2, 1]);
      tree.removeLink(link);
      tree.removeLnkConn(lnkConn);
    }
    expect(tree.counts).toMatchObject({ links: 1, lnkConns: 1, relays: 1 });
  });

  it('leave nothing of a connection, its links and its LNK_CONNs', () => {
    const tree = new SpanTree();
    const peers = ['g', 'h'].map((gateway, i) => {
      const connection = tree.addConnection(gateway, i);
      const link = tree.addLink(connection, i, { ...span, dist: i });
      return { connection, link, lnkConn: tree.addLnkConn(connection, i, filter) };
    });
    tree.flush(ignored);
    expect(tree.counts).toMatchObject({ connections: 2, relays: 1 });
    for (const { connection } of peers) tree.removeConnection(connection);
    expect(Object.values(tree.counts)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    for (const { connection, link, lnkConn } of peers) {
      expect([connection.removed, link.removed, lnkConn.removed]).toEqual([true, true, true]);
      expect([connection.links.size, connection.lnkConns.size]).toEqual([0, 0]);
      expect([link.relayCount, lnkConn.relayCount]).toEqual([0, 0]);
    }
    // Gateways are distinguished, even if one of them is gone.
    expect(tree.setUnreachable('h', new Set(['g']))).toEqual(new Set(['g']));
    expect([tree.reaches('h', 'g'), tree.reaches('g', 'h')]).toEqual([false, true]);
    expect(tree.unreachableFrom('h')).toEqual(new Set(['g']));
    expect(tree.unreachableFrom('g')).toEqual(new Set());
  });

  it.each<[string, (tree: SpanTree) => void]>([
    ['flushed', (tree) => tree.flush(ignored)],
    ['told of', (tree) => tree.tellGone({ gone: () => {} })],
    ['forgotten', (tree) => tree.forgetGone()],
  ])('are not referenced any more once the tree was %s', async (_, after) => {
    const tree = new SpanTree();
    const other = { ...span, clusterId: NODE };
    // A list of clusters that was read before is kept up to date.
    tree.holdCluster(other);
    const gone = await kept(() => {
      const owner = tree.addConnection('g', 1);
      const peer = tree.addConnection('h', 2);
      const link = tree.addLink(owner, 1, span);
      const lnkConn = tree.addLnkConn(peer, 2, filter);
      const { node } = link;
      const { cluster } = node;
      const { filterClass } = lnkConn;
      tree.flush(ignored);
      if (tree.counts.relays !== 1 || [...tree.clusters()].length !== 2) throw new Error('there is no relay');
      tree.setUnreachable('g', new Set(['h']));
      tree.setUnreachable('g', new Set());
      tree.removeConnection(owner);
      tree.removeConnection(peer);
      after(tree);
      return { owner, peer, link, lnkConn, node, cluster, filterClass };
    });
    expect(gone).toEqual([]);
    expect(tree.counts).toMatchObject({ clusters: 1, links: 0, lnkConns: 0, relays: 0 });
  });

  it('are as they were added, whatever later reports say', () => {
    const tree = new SpanTree();
    const connection = tree.addConnection('g', 1);
    tree.removeConnection(connection);
    tree.setSuspect(connection, true);
    expect(connection.suspect).toBe(false);
  });

  it('list the relays of a node, without refused ones and without those of the other dialect', () => {
    const tree = new SpanTree({ widths: { circuit: 3 } });
    const links = [1, 2, 3].map((id) => tree.addLink(tree.addConnection('g', id), id, span));
    const lnkConn = tree.addLnkConn(tree.addConnection('g', 9), 9, filter);
    const linkid = tree.addLnkConn(tree.addConnection('g', 10), 10, { ...filter, dialect: 'linkid' });
    const [first, second, third] = links as [Link, Link, Link];
    expect(lnkConn.relaysOf(first.node)).toEqual([]);
    tree.flush(ignored);
    tree.refuse(lnkConn, first);
    expect(new Set(lnkConn.relaysOf(first.node))).toEqual(new Set([second, third]));
    expect([lnkConn.has(first), lnkConn.has(second)]).toEqual([false, true]);
    expect([[...first.refusals()], [...second.refusals()]]).toEqual([[lnkConn], []]);
    expect([linkid.relaysOf(first.node), linkid.has(first)]).toEqual([[], false]);
    tree.removeLnkConn(lnkConn);
    expect([lnkConn.relaysOf(first.node), lnkConn.has(first)]).toEqual([[], false]);
    // The LNK_CONN that has the slot now has relays of its own.
    const next = tree.addLnkConn(tree.addConnection('g', 11), 11, filter);
    tree.flush(ignored);
    expect([next.slot, next.has(first)]).toEqual([lnkConn.slot, true]);
    expect([lnkConn.relaysOf(first.node), lnkConn.has(first)]).toEqual([[], false]);
  });

  it('list the relays on one LNK_CONN, without those of the next slot', () => {
    const tree = new SpanTree();
    const owner = tree.addConnection('g', 1);
    const first = tree.addLnkConn(owner, 1, filter);
    const next = tree.addLnkConn(tree.addConnection('g', 2), 2, filter);
    expect([first.slot, next.slot]).toEqual([0, 1]);
    // Not relayed on the first LNK_CONN: it is its peer's own link.
    const own = tree.addLink(owner, 3, span);
    const other = tree.addLink(tree.addConnection('g', 3), 4, { ...span, nodeId: CLUSTER });
    tree.flush(ignored);
    expect([first.relaysOf(own.node), first.relaysOf(other.node)]).toEqual([[], [other]]);
    expect([next.relaysOf(own.node), next.relaysOf(other.node)]).toEqual([[own], [other]]);
    expect([[...first.relays()], [...next.relays()]]).toEqual([[other], [own, other]]);
    expect([[...own.relays], [...other.relays]]).toEqual([[next], [first, next]]);
    tree.refuse(next, own);
    expect([[...own.refusals()], [...other.refusals()]]).toEqual([[next], []]);
    expect([first.has(own), next.has(own), next.has(other)]).toEqual([false, false, true]);
    tree.removeLnkConn(first);
    expect(tree.counts).toMatchObject({ relays: 1, refused: 1 });
    expect(next.relaysOf(other.node)).toEqual([other]);
  });

  it('compare linkid without rnss, and circuit with all 32 bits of it', () => {
    const tree = new SpanTree();
    const connection = tree.addConnection('g', 1);
    const link = (dialect: SpanKey['dialect']) => tree.addLink(connection, 1, { ...span, dialect, dist: -1, rnss: -1 });
    expect(link('linkid')).toMatchObject({ dist: 0, rnss: 0 });
    expect(link('circuit')).toMatchObject({ dist: 0xffffffff, rnss: 0xffffffff });
  });
});

describe('the defaults', () => {
  it.each([
    ['linkid', 2],
    ['circuit', 1],
  ] as const)('%s: %i links of a node are relayed, up to dist 16', (dialect, width) => {
    const tree = new SpanTree();
    tree.addLnkConn(tree.addConnection('g', 1), 1, { ...filter, dialect });
    for (let id = 0; id < 3; id++) tree.addLink(tree.addConnection('g', 10 + id), id, { ...span, dialect, dist: 16 });
    const far = tree.addLink(tree.addConnection('g', 20), 9, { ...span, dialect, nodeId: NIL, dist: 17 });
    tree.flush(ignored);
    expect([tree.counts.relays, far.relayCount]).toEqual([width, 0]);
  });

  it('options are accepted from their least value on', () => {
    for (const linkid of [0, -1, 0.5]) expect(code(() => new SpanTree({ widths: { linkid } }))).toBe('option');
    for (const circuit of [0, -1, 0.5]) expect(code(() => new SpanTree({ widths: { circuit } }))).toBe('option');
    for (const maxDist of [-1, 0.5]) expect(code(() => new SpanTree({ maxDist }))).toBe('option');
    const tree = new SpanTree({ widths: { linkid: 1, circuit: 1 }, maxDist: 0 });
    tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
    const [near, far] = [0, 1].map((dist) =>
      tree.addLink(tree.addConnection('g', 2), dist, { ...span, nodeId: dist === 0 ? NIL : NODE, dist }),
    );
    tree.flush(ignored);
    expect([near?.relayCount, far?.relayCount]).toEqual([1, 0]);
  });
});

describe('errors of the caller', () => {
  it('have different codes', () => {
    const tree = new SpanTree();
    const gone = tree.addConnection('g', 1);
    tree.removeConnection(gone);
    const connection = tree.addConnection('g', 2);
    expect(code(() => new SpanTree({ widths: { linkid: 0 } }))).toBe('option');
    expect(code(() => new SpanTree({ maxDist: 1.5 }))).toBe('option');
    expect(code(() => tree.addLink(gone, 1, span))).toBe('removed');
    expect(code(() => tree.addLnkConn(gone, 1, filter))).toBe('removed');
    expect(code(() => tree.addLink(connection, 1, { ...span, peerType: 64 }))).toBe('peer-type');
    for (const peerType of [-1, 0.5, 64]) {
      expect(code(() => tree.addLnkConn(connection, 1, { ...filter, peerType }))).toBe('peer-type');
    }
    for (const peerType of [0, 63]) tree.addLnkConn(connection, 1, { ...filter, peerType });
    const lnkConn = tree.addLnkConn(connection, 1, filter);
    const link = tree.addLink(connection, 2, { ...span, dialect: 'linkid' });
    expect(code(() => tree.refuse(lnkConn, link))).toBe('dialect');
    expect(code(() => tree.adoptRelay(lnkConn, link))).toBe('dialect');
  });
});
