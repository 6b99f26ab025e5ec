import { compareKeys } from '@spanmesh/runtime/grpc/paging';
import { SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { uuid } from '../testing/payloads.fixture.ts';
import * as keys from './keys.ts';

/** A tree with links; each takes default values for the fields that are not given. */
function links(
  ...given: {
    dialect?: 'linkid' | 'circuit';
    node?: number;
    label?: string;
    dist?: number;
    rnss?: number;
    stamp?: number;
    gateway?: string;
    suspect?: boolean;
  }[]
) {
  const tree = new SpanTree({ widths: { linkid: 2, circuit: 1 } });
  return given.map((one, i) => {
    const {
      dialect = 'circuit',
      node = 1,
      label = '',
      dist = 0,
      rnss = 0,
      stamp = 1,
      gateway = 'a',
      suspect = false,
    } = one;
    const connection = tree.addConnection(gateway, i + 1);
    if (suspect) tree.setSuspect(connection, true);
    const span = {
      dialect,
      clusterId: uuid(1),
      nodeId: uuid(node),
      peerType: 1,
      peerLabel: '',
      label,
      dist,
      rnss,
      stamp,
    };
    return tree.addLink(connection, i + 1, span);
  });
}

const before = (a: Parameters<typeof compareKeys>[0], b: Parameters<typeof compareKeys>[1]) => compareKeys(a, b) < 0;

describe('lists', () => {
  it('of links begin with the best link of a node, by dist, rnss, suspects last, stamp, gateway, number', () => {
    const all = links(
      { dist: 0, rnss: 9, suspect: true },
      { dist: 1, rnss: 0, suspect: true },
      { dist: 1, rnss: 1, stamp: 1 },
      { dist: 1, rnss: 1, stamp: 2, gateway: 'b' },
      { dist: 1, rnss: 1, stamp: 2, gateway: 'c' },
      { dist: 1, rnss: 1, stamp: 2, gateway: 'c' },
      { dist: 1, rnss: 1, suspect: true },
    );
    for (let i = 1; i < all.length; i++) expect(before(keys.linkKey(all[i - 1]!), keys.linkKey(all[i]!))).toBe(true);
  });

  it('of nodes have linkid before circuit, and circuit nodes by label, then by id', () => {
    const all = links(
      { dialect: 'linkid', node: 9, label: 'z' },
      { node: 9, label: 'a' },
      { node: 1, label: 'b' },
      { node: 2, label: 'b' },
    ).map(({ node }) => keys.nodeKey(node));
    for (let i = 1; i < all.length; i++) expect(before(all[i - 1]!, all[i]!)).toBe(true);
    // The label of a linkid node may change, so its key does not contain it.
    expect(all[0]!.at(-2)).toBe('');
  });

  it('estimate more bytes for longer labels, so that no page exceeds its limit', () => {
    const [short, long] = links({ label: 'x' }, { node: 2, label: 'x'.repeat(100) });
    expect(keys.linkBytes(long!) - keys.linkBytes(short!)).toBe(99 * 6);
    expect(keys.relayBytes(long!) - keys.relayBytes(short!)).toBe(99 * 4);
    expect(keys.nodeBytes(short!.node)).toBeGreaterThan(keys.clusterBytes(short!.node.cluster));
    const { connection } = short!;
    expect(keys.connectionBytes(connection)).toBe(1000);
    expect(keys.connectionBytes({ ...connection, lnkConns: new Set([{}, {}]) } as never)).toBe(2700);
  });
});
