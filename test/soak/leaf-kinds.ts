/** The kinds of leafs, and the part of all leafs that each is; the rest are clients of the API. */
const PARTS = { circuit: 1 / 2, linkid: 1 / 3 };

/** Leafs of either dialect, and clients of the API that open routes. */
export type LeafKind = keyof typeof PARTS | 'route';

export const LEAF_KINDS: readonly LeafKind[] = ['circuit', 'linkid', 'route'];

/** The kind of each of `count` leafs: the first are of the first kind. */
export function kindsOf(count: number): LeafKind[] {
  const circuit = Math.round(count * PARTS.circuit);
  const linkid = Math.round(count * PARTS.linkid);
  return Array.from({ length: count }, (_, n) => (n < circuit ? 'circuit' : n < circuit + linkid ? 'linkid' : 'route'));
}
