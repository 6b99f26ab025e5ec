import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { relaySpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Holding } from '@spanmesh/runtime/shares/pool';
import type { GatewayId, LinkId, LnkConnId } from '@spanmesh/spantree/ids';
import type { CloseReason } from '../connection/close-reason.ts';
import type { Connection } from '../connection/connection.ts';
import type { ShareHolder } from '../shares/gateway-shares.ts';
import { Liveness } from './liveness.ts';

// A peer, what it has open with us, and what we have open with it. They name each other both ways, so they are declared together.

/** Of a connection that is being closed in order. */
export interface Leaving {
  readonly reason: CloseReason;
  /** Why, a sentence for people. */
  readonly why: string;
  /** The peer has answered the end of our LNK_CONN, and with it everything before; may be called more than once. */
  answered(): void;
}

/** What a peer is to us: everything about its connection that is not the connection's own. */
export class Peer {
  readonly connection: Connection;
  readonly liveness = new Liveness();
  /** LNK_CONNs that it has open. */
  readonly lnkConns = new Set<LnkConn>();
  /** Links that came from it. */
  links = 0;
  /** Relays that are open to it, on the wire. */
  relays = 0;
  /** Relays that wait until its connection has drained. */
  waitingRelays: Relay[] = [];
  /** linkid: routes that begin with it. */
  routes = 0;

  /** Our LNK_CONN. */
  #ownLnkConn: Transaction | null = null;
  #hasAnswered = false;
  #onAnswered: ((hasAnswered: boolean) => void) | null = null;
  #leaving: Leaving | null = null;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Number of its connection. */
  get id(): number {
    return this.connection.id;
  }

  /** It has answered our LNK_CONN, one way or the other. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Our LNK_CONN is open. */
  get hasOwnLnkConn(): boolean {
    return this.#ownLnkConn?.ended === false;
  }

  /** Its connection is being closed in order (drain/orderly-close.ts); null: it is not. */
  get leaving(): Leaving | null {
    return this.#leaving;
  }

  /**
   * Opens our LNK_CONN (protocol.md, "The link layer" 1). The peer's answer, and its refusal, need no more than the endpoint does by
   * itself, but a refusal or close is answered with our DELETE.
   */
  openOwnLnkConn(endpoint: Endpoint, payload: Uint8Array): void {
    const tx = endpoint.open(endpoint.rules.lnkConn, null, OWN_LNK_CONN, payload);
    tx.data = this;
    this.#ownLnkConn = tx;
  }

  /** A message in our LNK_CONN. */
  answered(tx: Transaction): void {
    this.#hasAnswered = true;
    this.#tellAnswered();
    if (!tx.rxDeleted) return;
    tx.endpoint.end(tx);
    this.#leaving?.answered();
  }

  /** Calls back once, when it has answered our LNK_CONN (true), or its socket has closed. At most one may wait; null: nobody does. */
  set onAnswered(fn: ((hasAnswered: boolean) => void) | null) {
    this.#onAnswered = fn;
  }

  /** In order: what the peer begins from now on is refused. */
  leave(leaving: Leaving): void {
    const { endpoint } = this.connection;
    if (endpoint === null || this.#leaving !== null) return;
    this.#leaving = leaving;
    this.connection.leave(leaving.reason);
    endpoint.refuseOpens(ErrorCode.LOSTLINK);
  }

  /** In order, once nothing else is open: ends our LNK_CONN. `leaving.answered` is called when the peer has answered that, perhaps at once. */
  endOwnLnkConn(): void {
    const own = this.#ownLnkConn;
    if (own !== null) this.connection.endpoint?.end(own);
    if (own === null || own.rxDeleted) this.#leaving?.answered();
  }

  /** Its socket has closed. */
  gone(): void {
    this.#tellAnswered();
  }

  #tellAnswered(): void {
    const fn = this.#onAnswered;
    this.#onAnswered = null;
    fn?.(this.#hasAnswered);
  }
}

const OWN_LNK_CONN: TransactionHandler<Peer> = {
  onMessage(tx) {
    tx.data.answered(tx);
  },
  onLost() {},
};

/** Number of the span that a gateway offers for its own clients: no link has it (links count from 1). */
export const OWN_SPAN = 0;

/** Who offers links at other gateways (remote-offerers.ts). */
export interface Offerer {
  readonly principal: string;
  /** Those of them that are known here. */
  readonly links: Set<RelaySource>;
  /** Of their relays on this gateway. */
  readonly holding: Holding<ShareHolder>;
  /** They have none any more, and get none: they were too many. */
  readonly isWithheld: boolean;
}

/** What relays are made of: a link, of this gateway or of another one, or the gateway's own span (`link` is OWN_SPAN). */
export class RelaySource {
  /** `<name>.<boot>` of the link's gateway; empty: this one. */
  readonly gateway: GatewayId;
  /** The link's number there. */
  readonly link: LinkId;
  readonly dialect: Dialect;
  /** Its LNK_SPAN after the core header, as it came. */
  readonly payload: Buffer;
  /** The link, if it is on this gateway. */
  local: Link | null = null;
  /**
   * Of a link of another gateway: the leader of this stream has named it, or was told that it is known here, and says when it is gone.
   * Otherwise it goes with whatever last used it.
   */
  leaderKnows = false;
  /** Of a link whose first relay is measured: when it came, microseconds of this gateway's monotonic clock. 0: it is not, or was. */
  sampledUs = 0;
  /** Who offers it at its gateway; null: this one, or nobody knows. */
  offerer: Offerer | null = null;
  /** Its relays on this gateway, by the number of their LNK_CONN. */
  readonly relays = new Map<LnkConnId, Relay>();
  /** LNK_CONNs whose peers closed the relay, until topology asks for it again. */
  refusedBy: Set<LnkConn> | null = null;
  /** LNK_CONNs whose peers closed the relay that was open on demand: none is opened there again. */
  notOnDemand: Set<LnkConn> | null = null;

  #template: Uint8Array | null = null;
  #templateAdd = 0;

  constructor(gateway: GatewayId, link: LinkId, dialect: Dialect, payload: Buffer) {
    this.gateway = gateway;
    this.link = link;
    this.dialect = dialect;
    this.payload = payload;
  }

  /** The span of a gateway for its own clients: topology does not know it. */
  get isOwnSpan(): boolean {
    return this.link === OWN_SPAN;
  }

  /** Its link has closed, or is lost with its connection: relays that are left are going to be closed, and none is opened. */
  get isClosing(): boolean {
    return this.local !== null && !this.local.isOpen;
  }

  /** It has a relay on this gateway, or a peer here has refused one. */
  get isInUse(): boolean {
    return this.relays.size > 0 || (this.refusedBy?.size ?? 0) > 0 || (this.notOnDemand?.size ?? 0) > 0;
  }

  /** What its relays carry; computed once while it has any. `rnssAdd`: protocol.md, "The link layer" 2. */
  template(rnssAdd: number): Uint8Array {
    // Its origin is here: nothing is added.
    if (this.isOwnSpan && this.gateway === '') return this.payload;
    if (this.#template === null || this.#templateAdd !== rnssAdd) {
      this.#template = relaySpanPayload(this.dialect, this.payload, rnssAdd);
      this.#templateAdd = rnssAdd;
    }
    return this.#template;
  }

  /** It has no relay for now. */
  dropTemplate(): void {
    this.#template = null;
  }
}

/** What runs over one relay. */
export interface RelayUse {
  /** Somebody answers over it. */
  readonly isReturnPath: boolean;
  /** The relay is about to close: what runs over it ends. */
  relayClosing(): void;
}

/** A LNK_SPAN of ours that passes a link on to one LNK_CONN. In its transaction's `data` while it is open. */
export class Relay {
  readonly source: RelaySource;
  readonly lnkConn: LnkConn;
  /** Number of the command that (last) asked for it: a refusal names it. 0: asked for before this Attach. */
  n: number;
  /** Topology wants it. Otherwise it is open on demand, as a return path (protocol.md, "Routing, linkid"). */
  wanted: boolean;
  /** null while it waits for its turn on a busy connection. */
  tx: Transaction<Relay | null> | null = null;
  closed = false;
  /** What routing keeps about it (linkid); null: nothing ever ran over it. */
  use: RelayUse | null = null;
  /** circuit, link of another gateway: the route transaction, while it is open. */
  route: Transaction | null = null;

  constructor(source: RelaySource, lnkConn: LnkConn, n: number, wanted: boolean) {
    this.source = source;
    this.lnkConn = lnkConn;
    this.n = n;
    this.wanted = wanted;
  }

  /** Its link or its LNK_CONN is gone: it is going to be closed. */
  get isClosing(): boolean {
    return this.source.isClosing || !this.lnkConn.isOpen;
  }

  /** The route transaction has ended: the next one to need it asks for another. */
  routeGone(): void {
    this.route = null;
  }
}

/** A LNK_VOLCONF as it came. */
export interface ReceivedVolconf {
  /** Its 128 bytes. */
  readonly copy: Buffer;
  /** Microseconds of this gateway's monotonic clock, rising: of two for one slot the later one counts. */
  readonly receivedUs: number;
}

/** A LNK_CONN that a peer has open: its request for spans on its connection. In its transaction's `data`. */
export class LnkConn {
  readonly id: LnkConnId;
  readonly peer: Peer;
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

  /** Closed, by whichever side. */
  #isClosed = false;

  constructor(id: LnkConnId, peer: Peer, tx: Transaction, payload: Buffer, openedUs = 0) {
    this.id = id;
    this.peer = peer;
    this.tx = tx;
    this.payload = payload;
    this.openedUs = openedUs;
  }

  /** It may have relays: neither closed nor lost with its connection. */
  get isOpen(): boolean {
    return !this.#isClosed && this.peer.connection.isOpen;
  }

  /** It is closed, though its relays may not all be. */
  closed(): void {
    this.#isClosed = true;
  }

  get connection(): Connection {
    return this.peer.connection;
  }
}

/** Whatever ends with a link. */
export interface LinkUser {
  /** The link is about to close. */
  linkClosing(): void;
}

/** A link: a LNK_SPAN that a peer has open. In its transaction's `data`. */
export class Link {
  readonly id: LinkId;
  readonly peer: Peer;
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

  /** Closed by the peer. */
  #isClosed = false;

  constructor(
    id: LinkId,
    peer: Peer,
    tx: Transaction,
    source: RelaySource,
    { stamp, sinceUs }: { readonly stamp: number; readonly sinceUs: number },
  ) {
    this.id = id;
    this.peer = peer;
    this.tx = tx;
    this.source = source;
    this.stamp = stamp;
    this.sinceUs = sinceUs;
  }

  /** It may have relays: neither closed nor lost with its connection. */
  get isOpen(): boolean {
    return !this.#isClosed && this.peer.connection.isOpen;
  }

  /** It is closed, though its relays may not all be. */
  closed(): void {
    this.#isClosed = true;
  }

  get connection(): Connection {
    return this.peer.connection;
  }
}
