import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Peer } from '../peers/peer.ts';
import type { Asker } from './asker.ts';

/** An order of volconf's leader to connect (dial.proto). Times in milliseconds. */
export interface Order {
  readonly owner: string;
  readonly epoch: number;
  readonly generation: number;
  readonly host: string;
  readonly port: number;
  readonly dialect: Dialect | 'auto';
  readonly connectTimeout: number;
  /** Time for the peer to answer our LNK_CONN; 0: it need not. */
  readonly answerTimeout: number;
  readonly label: string;
  readonly asker: Asker;
}

/** An established connection that was dialled, and the order that it was made for. */
export interface DialledConnection {
  readonly order: Order;
  readonly peer: Peer;
}
