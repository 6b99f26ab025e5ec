import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Peer, Relay } from './peer.ts';

/** The data plane, as the rest of the gateway sees it: messages that are for another peer, and what ends their routes. */
export interface Routing {
  /**
   * A peer opens a transaction, on a circuit or (linkid) with a source or a target. False: it is for the router itself; otherwise
   * it has been passed on, refused or thrown away.
   */
  open(peer: Peer, tx: Transaction, frame: Frame): boolean;
  /** The same for a one-way message. */
  oneWay(peer: Peer, frame: Frame, circuit: Transaction | null): boolean;
  /** A relay is about to close, or is lost with its connection: what runs over it ends on the far side now, too. */
  relayClosing(relay: Relay): void;
}
