import { beforeEach, describe, expect, it } from 'vitest';
import { FILTER, IGNORED as ignored, SPAN } from '../testing/span.fixture.ts';
import { type Cluster, type Connection, type Link, type LnkConn, type Node, SpanTree } from '../tree.ts';
import { finish } from '../tree-work.ts';

const span = { ...SPAN, dialect: 'linkid' } as const;
const filter = { ...FILTER, dialect: 'linkid' } as const;

describe('a reader of the tree', () => {
  let tree: SpanTree;
  let owner: Connection;
  let peer: Connection;
  let link: Link;
  let lnkConn: LnkConn;
  /** For each call the node that is about to change, and its state then. */
  let told: { cluster: Cluster; node: Node | undefined; links: number; relays: number; refused: number }[];
  let end: () => void;
  beforeEach(() => {
    tree = new SpanTree();
    owner = tree.addConnection('g', 1);
    peer = tree.addConnection('g', 2);
    link = tree.addLink(owner, 1, span);
    lnkConn = tree.addLnkConn(peer, 2, filter);
    tree.flush(ignored);
    told = [];
    end = tree.read({
      changing: (cluster, node) => {
        const { relays, refused } = tree.counts;
        told.push({ cluster, node, links: node?.links.length ?? 0, relays, refused });
      },
    });
  });

  const changes: [string, () => void][] = [
    ['one more link of a node', () => tree.addLink(owner, 3, span)],
    ['a link that goes', () => tree.removeLink(link)],
    ['a connection that goes', () => tree.removeConnection(owner)],
    ['a LNK_CONN that goes', () => tree.removeLnkConn(lnkConn)],
    ['a refusal', () => tree.refuse(lnkConn, link)],
    ['relays that are forgotten', () => finish(tree.forgettingRelays(lnkConn))],
    ['a suspect', () => tree.setSuspect(owner, true)],
    ['an adopted refusal', () => tree.adoptRefusal(lnkConn, link)],
  ];
  it.each(changes)('is told of %s before it happens', (_, change) => {
    const { node } = link;
    change();
    expect(told[0]).toEqual({ cluster: node.cluster, node, links: 1, relays: 1, refused: 0 });
  });

  it('is told of a new node before it is in the tree', () => {
    const held = link.node.cluster;
    const nodes = held.nodes();
    tree.addLink(owner, 3, { ...span, nodeId: filter.clusterId });
    expect(told).toMatchObject([{ node: undefined }]);
    expect(told[0]?.cluster).toBe(held);
    // The arrays read before have not changed.
    expect([nodes.length, held.nodes().length]).toEqual([1, 2]);
  });

  it('is told of relays that a flush opens, and of those that are adopted', () => {
    const other = tree.addLnkConn(tree.addConnection('g', 3), 4, filter);
    tree.adoptRelay(other, link);
    expect(told).toMatchObject([{ node: link.node, relays: 1 }]);
    tree.addLnkConn(tree.addConnection('g', 4), 5, filter);
    tree.flush(ignored);
    expect(told).toMatchObject([{ relays: 1 }, { node: link.node, relays: 2 }]);
  });

  it('is told of a refusal that is adopted for a pair without a relay', () => {
    const other = tree.addLnkConn(tree.addConnection('g', 3), 4, filter);
    tree.adoptRefusal(other, link);
    expect(told).toMatchObject([{ node: link.node, refused: 0 }]);
    tree.adoptRefusal(other, link);
    expect(told).toHaveLength(1);
  });

  it('is not told of calls that change nothing', () => {
    tree.setSuspect(owner, false);
    tree.adoptRelay(lnkConn, link);
    tree.flush(ignored);
    tree.addLnkConn(tree.addConnection('g', 3), 4, { ...filter, peerMaskLo: 0, peerMaskHi: 0 });
    tree.flush(ignored);
    expect(told).toEqual([]);
  });

  it('is told nothing once it has ended, but other readers are', () => {
    let others = 0;
    const endOther = tree.read({ changing: () => others++ });
    end();
    tree.refuse(lnkConn, link);
    expect([told.length, others]).toEqual([0, 1]);
    endOther();
    tree.removeLink(link);
    expect([told.length, others]).toEqual([0, 1]);
  });
});
