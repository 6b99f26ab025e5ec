import { describe, expect, it } from 'vitest';
import { FILTER as filter, IGNORED as ignored, nodeId, SPAN } from './testing/span.fixture.ts';
import type { LnkConn } from './tree.ts';
import { SpanTree } from './tree.ts';
import { finish, type TreeWork } from './tree-work.ts';

/** The span of node number `node` of a cluster. */
const span = (node: number) => ({ ...SPAN, nodeId: nodeId(node) });

/** The number of units in each piece of the work. */
function pieces(work: TreeWork<unknown>): number[] {
  const units: number[] = [];
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return units;
    units.push(value);
  }
}

/**
 * A flushed tree with pieces of two units: a LNK_CONN of gateway `g`, and `nodes` nodes with one link each of gateway
 * `h`.
 */
function world(nodes: number): { tree: SpanTree; lnkConn: LnkConn; links: ReturnType<SpanTree['addLink']>[] } {
  const tree = new SpanTree({ pieceUnits: 2 });
  const lnkConn = tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
  const owner = tree.addConnection('h', 2);
  const links = Array.from({ length: nodes }, (_, id) => tree.addLink(owner, id, span(id)));
  tree.flush(ignored);
  return { tree, lnkConn, links };
}

describe('work that looks at single cells counts eight of them as a unit', () => {
  const works: [string, (of: ReturnType<typeof world>) => TreeWork<unknown>][] = [
    ['removing a LNK_CONN: nodes', ({ tree, lnkConn }) => tree.removingLnkConn(lnkConn)],
    ['forgetting the relays of a LNK_CONN: nodes', ({ tree, lnkConn }) => tree.forgettingRelays(lnkConn)],
    ['what a gateway cannot reach: links', ({ tree }) => tree.settingUnreachable('g', new Set(['h']))],
    [
      'telling of relays that went: relays',
      ({ tree, lnkConn }) => {
        tree.removeLnkConn(lnkConn);
        return tree.flushing({ ...ignored, gone: () => {} });
      },
    ],
  ];
  it.each(works)('%s', (_, work) => {
    const counts = [0, 15, 16, 31, 32, 47];
    expect(counts.map((count) => pieces(work(world(count))))).toEqual([[], [], [2], [2], [2, 2], [2, 2]]);
  });

  it('has the same result in pieces as at once', () => {
    const removed = world(40);
    pieces(removed.tree.removingLnkConn(removed.lnkConn));
    expect(removed.tree.counts).toMatchObject({ lnkConns: 0, relays: 0, links: 40 });

    const forgotten = world(40);
    finish(forgotten.tree.forgettingRelays(forgotten.lnkConn));
    expect([forgotten.tree.counts.relays, forgotten.lnkConn.relayCount]).toEqual([0, 0]);
    const opened: number[] = [];
    pieces(forgotten.tree.flushing({ ...ignored, open: ({ id }) => opened.push(id) }));
    expect(opened).toEqual(Array.from({ length: 40 }, (_, id) => id));

    const unreachable = world(40);
    const work = unreachable.tree.settingUnreachable('g', new Set(['h', 'i']));
    expect(finish(work)).toEqual(new Set(['h', 'i']));
    unreachable.tree.flush(ignored);
    expect(unreachable.tree.counts.relays).toBe(0);
  });
});

describe('a flush counts each pair and each link that it looks at as a unit', () => {
  // A node with one link is two units for one LNK_CONN: the pair and the link.
  const pieceUnits = 4;

  it('for nodes that have changed', () => {
    const tree = new SpanTree({ pieceUnits });
    tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
    tree.flush(ignored);
    const owner = tree.addConnection('h', 2);
    for (let id = 0; id < 7; id++) tree.addLink(owner, id, span(id));
    expect(pieces(tree.flushing(ignored))).toEqual([4, 4, 4]);
    expect(tree.counts.relays).toBe(7);
    // Nothing is left to look at.
    const { evaluations } = tree;
    expect(pieces(tree.flushing(ignored))).toEqual([]);
    expect(tree.evaluations).toBe(evaluations);
  });

  it('for LNK_CONNs that are new, which meet all nodes', () => {
    const tree = new SpanTree({ pieceUnits });
    const owner = tree.addConnection('h', 2);
    for (let id = 0; id < 7; id++) tree.addLink(owner, id, span(id));
    tree.flush(ignored);
    tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
    expect(pieces(tree.flushing(ignored))).toEqual([4, 4, 4]);
    expect(tree.counts.relays).toBe(7);
  });

  it('a node is not divided between pieces, however many LNK_CONNs it has', () => {
    const tree = new SpanTree({ pieceUnits });
    for (let id = 0; id < 5; id++) tree.addLnkConn(tree.addConnection('g', id), id, filter);
    const owner = tree.addConnection('h', 9);
    for (let id = 0; id < 3; id++) tree.addLink(owner, id, span(id));
    // LNK_CONNs of one filter class share the look at the link.
    expect(pieces(tree.flushing(ignored))).toEqual([6, 6, 6]);
    expect(tree.counts.relays).toBe(15);
  });

  it('work done before the flush does not count', () => {
    const tree = new SpanTree({ pieceUnits: 100 });
    tree.addLnkConn(tree.addConnection('g', 1), 1, filter);
    const owner = tree.addConnection('h', 2);
    for (let id = 0; id < 40; id++) {
      tree.addLink(owner, id, span(id));
      expect(pieces(tree.flushing(ignored))).toEqual([]);
    }
    expect(tree.evaluations).toBe(40);
  });
});

it('a piece has 256 units by default, and at least one', () => {
  expect(new SpanTree().pieceUnits).toBe(256);
  expect(new SpanTree({ pieceUnits: 1 }).pieceUnits).toBe(1);
  for (const least of [0, -1, 0.5]) expect(() => new SpanTree({ pieceUnits: least })).toThrow('pieceUnits');
});
