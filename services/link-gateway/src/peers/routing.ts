import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Peer, Relay } from './peer.ts';

/** linkid: messages with a source and a target, which are for another peer or for clients of this gateway. */
export interface AddressedRouting {
  /** A peer opens a transaction; it is passed on, refused or thrown away. */
  open(peer: Peer, tx: Transaction, frame: Frame): void;
  /** A one-way message. */
  oneWay(peer: Peer, frame: Frame): void;
}

/** What runs over relays. */
export interface RelayRouting {
  /** circuit: a peer opens `tx` on a relay; it is passed on or refused. null: we have closed it, and the peer does not know yet. */
  open(relay: Relay | null, tx: Transaction, frame: Frame): void;
  /** circuit: the same for a one-way message. */
  oneWay(relay: Relay | null, frame: Frame): void;
  /** A relay is about to close, or is lost with its connection: what runs over it ends on the far side now, too. */
  closing(relay: Relay): void;
}
