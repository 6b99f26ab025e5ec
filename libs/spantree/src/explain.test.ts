import { describe, expect, it } from 'vitest';
import { FILTER as filter, IGNORED as ignored, SPAN as span } from './testing/span.fixture.ts';
import { SpanTree } from './tree.ts';

/** A node with four links, of which the best two can be relayed; best first. */
function world() {
  const tree = new SpanTree({ widths: { circuit: 2 } });
  const links = [0, 1, 2, 3].map((dist) => tree.addLink(tree.addConnection('g', dist), dist, { ...span, dist }));
  const peer = tree.addConnection('g', 9);
  return { tree, links, peer, node: links[0]!.node };
}

describe('why a link is relayed or not', () => {
  it('says of each link whether it is open, refused, or neither', () => {
    const { tree, links, peer, node } = world();
    const lnkConn = tree.addLnkConn(peer, 1, filter);
    const said = () => tree.explain(node, lnkConn).map(({ verdict, open, refused }) => [verdict, open, refused]);
    const full = ['width-full', false, false];
    expect(said()).toEqual([['taken', false, false], ['taken', false, false], full, full]);
    tree.flush(ignored);
    expect(said()).toEqual([['taken', true, false], ['taken', true, false], full, full]);
    tree.refuse(lnkConn, links[0]!);
    expect(said()).toEqual([['taken', false, true], ['taken', true, false], full, full]);
    expect(tree.explain(node, lnkConn).map(({ link }) => link)).toEqual(links);
  });

  it('says of a LNK_CONN that has gone that nothing is open or refused, even if another has its slot', () => {
    const { tree, links, peer, node } = world();
    const gone = tree.addLnkConn(peer, 1, filter);
    tree.removeLnkConn(gone);
    const other = tree.addLnkConn(peer, 2, filter);
    expect(other.slot).toBe(gone.slot);
    tree.flush(ignored);
    tree.refuse(other, links[1]!);
    expect(tree.explain(node, other).map(({ open, refused }) => open || refused)).toEqual([true, true, false, false]);
    expect(tree.explain(node, gone).map(({ open, refused }) => open || refused)).toEqual([false, false, false, false]);
  });

  it('says the same of a part of the links as of all of them', () => {
    const { tree, peer, node } = world();
    const lnkConn = tree.addLnkConn(peer, 1, filter);
    tree.addLink(peer, 9, { ...span, dist: 0, stamp: 2 });
    tree.flush(ignored);
    const all = tree.explain(node, lnkConn);
    expect(all.map(({ verdict }) => verdict)).toEqual([
      'taken',
      'own-connection',
      'after-stop',
      'after-stop',
      'after-stop',
    ]);
    for (let from = 0; from <= 6; from++) {
      for (let count = 0; count <= 6; count++) {
        expect(tree.explain(node, lnkConn, from, count)).toEqual(all.slice(from, from + count));
      }
      expect(tree.explain(node, lnkConn, from)).toEqual(all.slice(from));
    }
  });

  it('skips links of gateways that cannot be reached, and does not count them', () => {
    const { tree, peer, node } = world();
    const lnkConn = tree.addLnkConn(peer, 1, filter);
    tree.addLink(tree.addConnection('h', 1), 9, { ...span, dist: 0, stamp: 0 });
    tree.setUnreachable('g', new Set(['h']));
    const verdicts = tree.explain(node, lnkConn).map(({ verdict }) => verdict);
    expect(verdicts).toEqual(['unreachable', 'taken', 'taken', 'width-full', 'width-full']);
  });

  it('only says that the LNK_CONN is of the other dialect', () => {
    const { tree, peer, node } = world();
    const lnkConn = tree.addLnkConn(peer, 1, { ...filter, dialect: 'linkid' });
    const verdict = { verdict: 'other-dialect', open: false, refused: false };
    expect(tree.explain(node, lnkConn, 1, 2)).toMatchObject([verdict, verdict]);
    expect(tree.explain(node, lnkConn)).toHaveLength(4);
  });
});
