import type { Dialect } from './dialects.ts';

export type { Dialect } from './dialects.ts';

/** peer_type HAMMER2 (protocol.md, "Payloads"). */
export const PEER_HAMMER2 = 3;
/** peer_type CLIENT, circuit only (protocol.md, "Payloads"). */
export const PEER_CLIENT = 63;
/** Highest peer_type: the peer_mask has 64 bits (protocol.md, "Payloads"). */
export const PEER_TYPE_MAX = 63;

export const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** The spans that a LNK_CONN asks for. Constant while it is open. */
export interface LnkConnFilter {
  readonly dialect: Dialect;
  /** Bits 0..31 and 32..63 of peer_mask, as u32: bit n accepts peer_type n. */
  readonly peerMaskLo: number;
  readonly peerMaskHi: number;
  /** 0..63 */
  readonly peerType: number;
  /** pfs_clid (linkid) or peer_id (circuit): canonical lower-case uuid text. */
  readonly clusterId: string;
}

/** The fields of a received LNK_SPAN that decide its place in the tree. Constant while it is open. */
export interface SpanKey {
  readonly dialect: Dialect;
  /** pfs_clid (linkid) or peer_id (circuit): canonical lower-case uuid text. */
  readonly clusterId: string;
  /** pfs_fsid (linkid) or pfs_id (circuit): canonical lower-case uuid text. */
  readonly nodeId: string;
  /** 0..63 */
  readonly peerType: number;
  /** circuit: peer_label, part of the cluster's identity. linkid: ''. */
  readonly peerLabel: string;
  /** circuit: pfs_label, part of the node's identity. linkid: label, for display only. */
  readonly label: string;
  /** 32 bits, signed or unsigned: linkid compares them as signed (negative as 0), circuit as unsigned. */
  readonly dist: number;
  /** circuit: 32 bits, compared as unsigned. linkid: ignored. */
  readonly rnss: number;
  /** Age of the link, set once by its gateway: max(wall clock, highest stamp seen + 1). */
  readonly stamp: number;
}

/** The identity of a cluster. In linkid only `clusterId` counts. */
export type ClusterKey = Pick<SpanKey, 'dialect' | 'clusterId' | 'peerType' | 'peerLabel'>;
