import type { Link } from '@spanmesh/spantree/tree';
import type { Gateway } from './gateway.ts';

/** Relays of one link on one gateway's LNK_CONNs (numbers): the unit of commands and of history. */
export interface RelayGroup {
  readonly link: Link;
  /** Of the LNK_CONNs. */
  readonly gateway: Gateway;
  readonly open: number[];
  readonly close: number[];
}
