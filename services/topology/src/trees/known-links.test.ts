import { type Link, SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { KnownLinks } from './known-links.ts';

function aLink(): Link {
  const tree = new SpanTree();
  return tree.addLink(tree.addConnection('a.00000001', 1), 2, {
    dialect: 'linkid',
    clusterId: 'c',
    nodeId: 'n',
    peerType: 1,
    peerLabel: '',
    label: '',
    dist: 0,
    rnss: 0,
    stamp: 1,
  });
}

describe('the links that a gateway knows', () => {
  it('are removed once each', () => {
    const knows = new KnownLinks();
    const link = aLink();
    knows.add(link);
    knows.add(link);
    expect([knows.has(link), knows.size]).toEqual([true, 1]);
    expect([knows.delete(link), knows.delete(link)]).toEqual([true, false]);
  });

  it('that wait for their gateways stop waiting one by one, or all of a gateway together', () => {
    const knows = new KnownLinks();
    knows.wait('a.00000001', 5);
    knows.wait('a.00000001', 5);
    knows.wait('a.00000001', 6);
    knows.wait('b.00000001', 5);
    expect([...knows.waitingFor('a.00000001').keys()]).toEqual([5, 6]);
    expect([knows.waitingCount, knows.size]).toEqual([3, 3]);
    knows.endWait('a.00000001', 5);
    knows.endWait('a.00000001', 5);
    expect([knows.waiting('a.00000001', 5), knows.waitingCount]).toEqual([undefined, 2]);
    knows.endWaits('a.00000001');
    knows.endWaits('a.00000001');
    expect([knows.waitingFor('a.00000001').size, knows.waitingCount]).toEqual([0, 1]);
  });
});
