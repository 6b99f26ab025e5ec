import type { Random } from '../fuzz/random.ts';
import { ALL_TYPES, type ConnFields, NIL_UUID, PEER, type SpanFields, testUuid } from './payloads.ts';
import type { Dialect } from './wire.ts';

const CLUSTERS = 4;

/** What the LNK_CONN of a peer says: of one of four clusters, and now and then without its block exports. */
export function drawConn(dialect: Dialect, label: string, random: Random): Partial<ConnFields> {
  const peerTypes = dialect === 'linkid' ? [PEER.ROUTER, PEER.HAMMER2] : [PEER.ROUTER, PEER.ROUTER, PEER.CLIENT];
  return {
    label,
    peerType: random.pick(peerTypes),
    cluster: testUuid(0x100 + random.below(CLUSTERS)),
    peerMask: random.oneIn(6) ? ALL_TYPES ^ (1n << BigInt(PEER.BLOCK)) : ALL_TYPES,
  };
}

/**
 * What the LNK_CONN of a leaf says (protocol.md, "Leafs"): that it wants the spans of one of the clusters above, and
 * now and then all spans that it may be sent.
 */
export function drawLeafConn(dialect: Dialect, label: string, random: Random): Partial<ConnFields> {
  const cluster = random.below(CLUSTERS);
  const isGreedy = random.oneIn(8);
  if (dialect === 'circuit') {
    return { label, peerType: PEER.CLIENT, cluster: isGreedy ? NIL_UUID : testUuid(0x100 + cluster) };
  }
  return {
    label,
    peerType: PEER.HAMMER2,
    // linkid leafs can limit the spans of clusters of this type only.
    cluster: testUuid(0x100 + (cluster | 1)),
    peerMask: isGreedy ? ALL_TYPES : 1n << BigInt(PEER.HAMMER2),
  };
}

/** A span of one of that many nodes. Every span of a node has the same identity; only their dists differ. */
export function drawSpan(dialect: Dialect, nodes: number, random: Random): Partial<SpanFields> {
  const node = random.below(nodes);
  const cluster = node % CLUSTERS;
  return {
    node: testUuid(0x200 + node),
    cluster: testUuid(0x100 + cluster),
    peerType: cluster % 2 === 0 ? PEER.BLOCK : PEER.HAMMER2,
    clusterLabel: dialect === 'circuit' ? `cluster${cluster}` : '',
    nodeLabel: `node${node}`,
    dist: random.oneIn(8) ? 14 + random.below(4) : random.below(3),
    rnss: dialect === 'circuit' ? random.below(3) : 0,
  };
}
