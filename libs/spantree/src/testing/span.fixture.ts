import { type LnkConnFilter, NIL_UUID, type SpanKey } from '../span.ts';
import type { RelayDelta } from '../tree.ts';

/** The uuid of node number `n`. */
export function nodeId(n: number): string {
  return `${n.toString(16).padStart(8, '0')}-0a0b-11e4-8a21-01a2b3c4d5e6`;
}

/** A span of a HAMMER2 volume, circuit. */
export const SPAN: SpanKey = {
  dialect: 'circuit',
  clusterId: 'c1000001-0a0b-11e4-8a21-01a2b3c4d5e6',
  nodeId: nodeId(0xf5000001),
  peerType: 3,
  peerLabel: '',
  label: '',
  dist: 0,
  rnss: 0,
  stamp: 1,
};

/** A router that asks for everything, circuit. */
export const FILTER: LnkConnFilter = {
  dialect: 'circuit',
  peerMaskLo: 0xffffffff,
  peerMaskHi: 0xffffffff,
  peerType: 1,
  clusterId: NIL_UUID,
};

/** A RelayDelta for tests that do not look at the relays that are opened and closed. */
export const IGNORED: RelayDelta = { open: () => {}, close: () => {} };
