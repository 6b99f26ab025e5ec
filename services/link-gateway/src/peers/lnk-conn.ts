import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Connection } from '../connection/connection.ts';
import type { Relay } from './relay.ts';
import type { RelaySource } from './relay-source.ts';

/** A LNK_VOLCONF as it came. */
export interface ReceivedVolconf {
  /** Its 128 bytes. */
  readonly copy: Buffer;
  /** Microseconds of this gateway's monotonic clock, rising: of two for one slot the later one counts. */
  readonly receivedUs: number;
}

/** A LNK_CONN that a peer has open: its request for spans on its connection. In its transaction's `data`. */
export class LnkConn {
  readonly id: number;
  readonly connection: Connection;
  readonly tx: Transaction;
  /** The message after the core header, as it came. */
  readonly payload: Buffer;
  /** When it was opened, microseconds of this gateway's monotonic clock. */
  readonly openedUs: number;
  readonly relays = new Set<Relay>();
  /** Relays on it that are open on demand. */
  returnPaths = 0;
  /** Links whose relays the peer closed here. */
  refused: Set<RelaySource> | null = null;
  /** Links whose relays, open on demand, the peer closed here; in the order of that. */
  notOnDemand: Set<RelaySource> | null = null;
  /** Last good LNK_VOLCONF of each slot. */
  volconfs: Map<number, ReceivedVolconf> | null = null;

  constructor(id: number, connection: Connection, tx: Transaction, payload: Buffer, openedUs = 0) {
    this.id = id;
    this.connection = connection;
    this.tx = tx;
    this.payload = payload;
    this.openedUs = openedUs;
  }
}
