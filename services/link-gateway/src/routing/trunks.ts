import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';

// The interfaces between routing and the trunks. A trunk is an Endpoint like that of a peer's connection; its
// transactions are stacked whichever dialect passes over it. For every route in use it has one long-lived transaction,
// the route transaction, opened by the gateway of the relay. The transactions of the route are stacked on that one,
// exactly as transactions are stacked on a link.

/** A link of another gateway. */
export interface RemoteLinkKey {
  /** `<name>.<boot>`. */
  readonly gateway: GatewayId;
  /** Number of the link on its gateway. */
  readonly number: LinkId;
}

/** linkid: the sender's own span. The target's gateway opens a relay of it as the return path. */
export interface RouteSource {
  /** Gateway of the source link; empty: this one. */
  readonly gateway: GatewayId;
  /** Number of the source link on its gateway. */
  readonly number: LinkId;
  /** Its LNK_SPAN after the core header. */
  readonly payload: Uint8Array;
}

/**
 * `data` of a route transaction. As a Pressure it is that of the queue to the other gateway, so that Flow can pause the
 * connections whose messages wait there.
 */
export interface TrunkRoute extends Pressure {
  /** The last user of the route is gone: ends the transactions on it, then the route transaction `tx` itself. */
  drop(tx: Transaction): void;
}

/**
 * A route between this gateway and another one: a long-lived transaction on their trunk, on which the route's
 * transactions are stacked.
 */
export type RouteTransaction = Transaction<TrunkRoute>;

/** The trunks, as routing sees them. */
export interface Trunks {
  /**
   * The route transaction to a link of another gateway. It is opened on first use, and so is the trunk. Messages may be
   * sent on it at once: they wait for the trunk, in order. null: the gateway cannot be reached; the caller answers
   * LOSTLINK.
   *
   * `destination`: number of the connection of this gateway that the route serves (that of the relay), for the credits
   * of messages that come back; 0: not known, and all such routes share one window. The same (link, dialect, source,
   * destination) gets the same transaction while it is open. Callers keep it and do not ask for each message.
   */
  route(
    link: RemoteLinkKey,
    dialect: Dialect,
    source: RouteSource | null,
    destination?: number,
  ): RouteTransaction | null;
}

/** For a gateway that reaches no other: messages that it cannot deliver itself are answered LOSTLINK. */
export const NO_TRUNKS: Trunks = { route: () => null };

/** The end here of a route that another gateway has opened. */
export interface RouteEnd {
  /**
   * A transaction was opened on the route itself: give it a handler, which also takes what is stacked on it, or refuse
   * it.
   */
  opened(tx: Transaction, frame: Frame): void;
  /** A one-way message came on the route itself. */
  heard(frame: Frame): void;
  /**
   * The route transaction has ended, from whichever side. Called once; the transactions on it have been told before, or
   * are ending.
   */
  gone(): void;
}

/** Routing, as the trunks see it. */
export interface RouteTerminal {
  /**
   * Another gateway opens a route to a link of ours. The route transaction is the circuit of the transactions that
   * follow. null: the link is gone or cannot be used (the answer is LOSTLINK).
   */
  routeOpened(route: RouteTransaction, link: LinkId, dialect: Dialect, source: RouteSource | null): RouteEnd | null;
  /**
   * A route transaction that `Trunks.route` returned has ended, from whichever side, also after `drop`. Called once;
   * the transactions on it have been told before, or are ending.
   */
  routeEnded(route: Transaction): void;
}
