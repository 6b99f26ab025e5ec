import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';

// What routing and the trunks ask of each other. A trunk is an Endpoint like that of a peer's connection (stacked, whatever
// dialect passes over it). For every route in use there is one long-lived transaction on it, the route transaction, opened by the
// gateway of the relay; what runs on the route is stacked on it, exactly as transactions are stacked on a link.

/** A link of another gateway. */
export interface RemoteLinkKey {
  /** `<name>.<boot>`. */
  readonly gateway: GatewayId;
  /** Number of the link there. */
  readonly number: LinkId;
}

/** linkid: the sender's own span, that the other end needs a relay of as the way back. */
export interface RouteSource {
  /** Gateway of the source link; empty: this one. */
  readonly gateway: GatewayId;
  /** Number of the source link there. */
  readonly number: LinkId;
  /** Its LNK_SPAN after the core header. */
  readonly payload: Uint8Array;
}

/** What a route transaction carries as its `data`. As a Pressure: where what is sent on it waits, so that Flow may pause who is read. */
export interface TrunkRoute extends Pressure {
  /** The relay or link that used it is gone: what runs on it is ended, then the route transaction `tx` itself. */
  drop(tx: Transaction): void;
}

/** A way between this gateway and another one, on the trunk between them; what passes is stacked on it. */
export type RouteTransaction = Transaction<TrunkRoute>;

/** The trunks, as routing sees them. */
export interface Trunks {
  /**
   * The route transaction to a link of another gateway, opened (and the trunk with it) on first use; messages may be sent on
   * it at once, they wait for the trunk in order. null: the gateway cannot be reached, the caller answers LOSTLINK.
   * `destination`: number of the connection of this gateway that is served (that of the relay), for credits of what comes
   * back; 0: not known, all such routes share one window. Same (link, dialect, source, destination): same transaction while
   * it is open. Keep it rather than ask for each message.
   */
  route(
    link: RemoteLinkKey,
    dialect: Dialect,
    source: RouteSource | null,
    destination?: number,
  ): RouteTransaction | null;
}

/** Of a gateway that reaches no other: what it cannot deliver itself is answered LOSTLINK. */
export const NO_TRUNKS: Trunks = { route: () => null };

/** Where a route that another gateway has opened leads. */
export interface RouteEnd {
  /** A transaction is opened on the route itself: give it a handler, which takes what is stacked on it, or refuse it. */
  opened(tx: Transaction, frame: Frame): void;
  /** A one-way message on the route itself. */
  heard(frame: Frame): void;
  /** The route transaction has ended, from whichever side, once; what ran on it has been told before, or is ending. */
  gone(): void;
}

/** Routing, as the trunks see it. */
export interface RouteTerminal {
  /**
   * Another gateway opens a route to a link of ours; null: the link is gone, or cannot be used (LOSTLINK). The route transaction
   * is the circuit of what follows.
   */
  routeOpened(route: RouteTransaction, link: LinkId, dialect: Dialect, source: RouteSource | null): RouteEnd | null;
  /**
   * A route transaction that `Trunks.route` returned has ended, from whichever side (also after `drop`): once; what ran on it has
   * been told before, or is ending.
   */
  routeEnded(route: Transaction): void;
}
