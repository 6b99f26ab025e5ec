import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import type { Peer, Relay } from './peer.ts';

/** Takes the linkid messages that name a target: they are for another peer or for a client of this gateway. */
export interface AddressedRouting {
  /** A peer opens a transaction: it is passed on, refused or thrown away. */
  open(peer: Peer, tx: Transaction, frame: Frame): void;
  /** A peer sends a one-way message. */
  oneWay(peer: Peer, frame: Frame): void;
}

/** Takes the messages that peers send on relays (circuit), and ends routes with their relay. */
export interface RelayRouting {
  /**
   * circuit: a peer opens `tx` on a relay: it is passed on or refused. `relay` null: we have closed the relay, and the
   * peer does not know yet.
   */
  open(relay: Relay | null, tx: Transaction, frame: Frame): void;
  /** circuit: a peer sends a one-way message on a relay; `relay` as above. */
  oneWay(relay: Relay | null, frame: Frame): void;
  /**
   * A relay is about to close, or is lost with its connection: what runs over it ends on the far side, too. What of
   * that is to be done before the relay's DELETE goes out; null: nothing.
   */
  closing(relay: Relay): EndingJob | null;
}
