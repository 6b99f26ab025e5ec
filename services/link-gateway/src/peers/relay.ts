import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { RelayUse } from '../routing/relay-use.ts';
import type { LnkConn } from './lnk-conn.ts';
import type { RelaySource } from './relay-source.ts';

/** A LNK_SPAN of ours that passes a link on to one LNK_CONN. In its transaction's `data` while it is open. */
export class Relay {
  readonly source: RelaySource;
  readonly lnkConn: LnkConn;
  /** Number of the command that (last) asked for it: a refusal names it. 0: asked for before this Attach. */
  n: number;
  /** Topology wants it. Otherwise it is open on demand, as a return path (protocol.md, "Routing, linkid"). */
  wanted: boolean;
  /** null while it waits for its turn on a busy connection. */
  tx: Transaction | null = null;
  closed = false;
  /** Routes over it (linkid); null: none ever. */
  use: RelayUse | null = null;
  /** circuit, link of another gateway: the route transaction, while it is open. */
  route: Transaction | null = null;

  constructor(source: RelaySource, lnkConn: LnkConn, n: number, wanted: boolean) {
    this.source = source;
    this.lnkConn = lnkConn;
    this.n = n;
    this.wanted = wanted;
  }

  /** The route transaction has ended: the next one to need it asks for another. */
  routeGone(): void {
    this.route = null;
  }
}
