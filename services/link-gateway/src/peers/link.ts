import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Connection } from '../connection/connection.ts';
import type { RelaySource } from './relay-source.ts';

/** Whatever ends with a link. */
export interface LinkUser {
  /** The link is about to close. */
  linkClosing(): void;
}

/** A link: a LNK_SPAN that a peer has open. In its transaction's `data`. */
export class Link {
  readonly id: number;
  readonly connection: Connection;
  readonly tx: Transaction;
  readonly source: RelaySource;
  /** Age, for the order of links only (architecture.md, "Attach"): unique and rising, whatever the clock does. */
  readonly stamp: number;
  /** When it was opened, microseconds since 1970 by the clock as it was then: for people. */
  readonly sinceUs: number;
  /** Of the last status message; null: none came. */
  status: number | null = null;
  /** What reaches it otherwise than over relays of this gateway: routes of other gateways, and of this one's own clients. */
  users: Set<LinkUser> | null = null;

  constructor(
    id: number,
    connection: Connection,
    tx: Transaction,
    source: RelaySource,
    { stamp, sinceUs }: { readonly stamp: number; readonly sinceUs: number },
  ) {
    this.id = id;
    this.connection = connection;
    this.tx = tx;
    this.source = source;
    this.stamp = stamp;
    this.sinceUs = sinceUs;
  }
}
