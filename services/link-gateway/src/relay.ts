import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { LnkConn } from './lnk-conn.ts';
import type { RelaySource } from './relay-source.ts';

/** A LNK_SPAN of ours that passes a link on to one LNK_CONN. In its transaction's `data` while it is open. */
export class Relay {
  readonly source: RelaySource;
  readonly lnkConn: LnkConn;
  /** Number of the command that (last) asked for it: a refusal names it. 0: asked for before this Attach. */
  n: number;
  /** null while it waits for its turn on a busy connection. */
  tx: Transaction | null = null;
  closed = false;

  constructor(source: RelaySource, lnkConn: LnkConn, n: number) {
    this.source = source;
    this.lnkConn = lnkConn;
    this.n = n;
  }
}
