import { CREATE, LNK_SPAN } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { type MessageTemplate, messageTemplate } from '@spanmesh/dmsg/message-template';
import { relaySpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import { SharedEndings } from '@spanmesh/dmsg/shared-endings';
import type { EndingJob, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { apiDialect } from '@spanmesh/proto/dialect';
import type { ConnectionOpened } from '@spanmesh/proto/v1/gateway_control';
import { ConnectionOrigin } from '@spanmesh/proto/v1/types';
import type { Holding } from '@spanmesh/runtime/shares/pool';
import type { GatewayId, LinkId, LnkConnId } from '@spanmesh/spantree/ids';
import type { CloseReason } from '../connection/close-reason.ts';
import type { Connection } from '../connection/connection.ts';
import type { ShareHolder } from '../shares/gateway-shares.ts';
import { Liveness } from './liveness.ts';

// A peer, what it has open with us (LNK_CONNs, links), and what we have open with it (relays). These classes refer to
// each other both ways, so they are declared in one file.

const ORIGINS = {
  accepted: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
  shell: ConnectionOrigin.CONNECTION_ORIGIN_SHELL,
  target: ConnectionOrigin.CONNECTION_ORIGIN_TARGET,
} as const;

/** A connection is being closed in order: why, and what to do when the peer has answered. */
export interface Leaving {
  readonly reason: CloseReason;
  /** Why, a sentence for people. */
  readonly why: string;
  /**
   * Called when the peer has closed its side of our LNK_CONN, the last thing that we end: it has then answered
   * everything before, too. May be called more than once.
   */
  answered(): void;
}

/** A peer, and what it has open with us: everything about its connection that class Connection does not keep. */
export class Peer {
  readonly connection: Connection;
  readonly liveness = new Liveness();
  /** LNK_CONNs that the peer has open. */
  readonly lnkConns = new Set<LnkConn>();
  /** Number of links that the peer has open. */
  links = 0;
  /** Number of relays open to the peer whose LNK_SPAN has been sent. */
  relays = 0;
  /** Relays not yet opened: they wait until the connection's send queue has drained. */
  waitingRelays: Relay[] = [];
  /** linkid: number of routes that begin at this peer. */
  routes = 0;

  /** Our LNK_CONN. */
  #ownLnkConn: Transaction | null = null;
  #hasAnswered = false;
  #onAnswered: ((hasAnswered: boolean) => void) | null = null;
  #leaving: Leaving | null = null;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Number of the peer's connection. */
  get id(): number {
    return this.connection.id;
  }

  /** The peer has answered our LNK_CONN, by accepting or refusing it. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Our LNK_CONN is open. */
  get hasOwnLnkConn(): boolean {
    return this.#ownLnkConn?.ended === false;
  }

  /** Set while the connection is being closed in order (drain/orderly-close.ts); otherwise null. */
  get leaving(): Leaving | null {
    return this.#leaving;
  }

  /**
   * What topology is told of the connection, once it is established; after a change of any of this it may be told the
   * whole again (`connectionOpened` of PeerReports).
   */
  described(): ConnectionOpened {
    const { connection, liveness } = this;
    const { origin } = connection;
    const target = origin.kind === 'target' ? origin : null;
    return {
      id: connection.id,
      dialect: apiDialect(connection.dialect!),
      remoteAddress: connection.remote,
      localAddress: connection.local,
      origin: ORIGINS[origin.kind],
      owner: target?.owner ?? '',
      generation: target?.generation ?? 0,
      sinceUs: connection.sinceUs,
      suspect: liveness.isSuspect,
      closing: this.#leaving?.why ?? '',
      principal: connection.principal,
    };
  }

  /**
   * Opens our LNK_CONN (protocol.md, "The link layer" 1). The endpoint does all that the peer's answer needs; only a
   * refusal or close is answered here, with our DELETE.
   */
  openOwnLnkConn(endpoint: Endpoint, payload: Uint8Array): void {
    const tx = endpoint.open(endpoint.rules.lnkConn, null, OWN_LNK_CONN, payload);
    tx.data = this;
    this.#ownLnkConn = tx;
  }

  /** The peer has sent a message in our LNK_CONN. */
  answered(tx: Transaction): void {
    this.#hasAnswered = true;
    this.#tellAnswered();
    if (!tx.rxDeleted) return;
    tx.endpoint.end(tx);
    this.#leaving?.answered();
  }

  /**
   * Set a function to be called once: when the peer has answered our LNK_CONN (true), or when its socket has closed
   * without an answer (false). At most one function can wait; null removes it.
   */
  set onAnswered(fn: ((hasAnswered: boolean) => void) | null) {
    this.#onAnswered = fn;
  }

  /** First step of closing in order: transactions that the peer opens from now on are refused. */
  leave(leaving: Leaving): void {
    const { endpoint } = this.connection;
    if (endpoint === null || this.#leaving !== null) return;
    this.#leaving = leaving;
    this.connection.leave(leaving.reason);
    endpoint.refuseOpens(ErrorCode.LOSTLINK);
  }

  /**
   * Last step of closing in order, once nothing else is open: ends our LNK_CONN. `leaving.answered` is called when the
   * peer has answered that, perhaps at once.
   */
  endOwnLnkConn(): void {
    const own = this.#ownLnkConn;
    if (own !== null) this.connection.endpoint?.end(own);
    if (own === null || own.rxDeleted) this.#leaving?.answered();
  }

  /** The peer's socket has closed. */
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

/** Link number of the span that a gateway offers for its own clients. Links of peers count from 1. */
export const OWN_SPAN = 0;

/** A principal that offers links at other gateways (remote-offerers.ts). */
export interface Offerer {
  readonly principal: string;
  /** Its links that are known here. */
  readonly links: Set<RelaySource>;
  /** Counts the relays of its links on this gateway. */
  readonly holding: Holding<ShareHolder>;
  /** Its links had too many relays on this gateway: all were closed, and none is opened any more. */
  readonly isWithheld: boolean;
}

/**
 * What a relay passes on: a link, of this gateway or of another one, or the gateway's own span (`link` is OWN_SPAN).
 */
export class RelaySource {
  /** `<name>.<boot>` of the link's gateway; empty: this one. */
  readonly gateway: GatewayId;
  /** The link's number on its gateway. */
  readonly link: LinkId;
  readonly dialect: Dialect;
  /** The link's LNK_SPAN after the core header, as it came. */
  readonly payload: Buffer;
  /** The link, if it is on this gateway. */
  local: Link | null = null;
  /**
   * For a link of another gateway: the leader at the other end of the current Attach stream has named this link, or was
   * told that it is known here, and tells us when it is gone. If false, the link is forgotten with its last relay or
   * refusal here.
   */
  leaderKnows = false;
  /**
   * When the link came, microseconds of this gateway's monotonic clock, if the time until its first relay is measured.
   * 0: it is not measured, or has been.
   */
  sampledUs = 0;
  /**
   * The principal that offers the link at another gateway; null: the link is on this gateway, or nobody has told whose
   * it is.
   */
  offerer: Offerer | null = null;
  /** The link's relays on this gateway, by the number of their LNK_CONN. */
  readonly relays = new Map<LnkConnId, Relay>();
  /** LNK_CONNs whose peers have closed (refused) the relay; one is removed when topology asks for its relay again. */
  refusedBy: Set<LnkConn> | null = null;
  /** LNK_CONNs whose peers have closed the relay while it was open on demand: none is opened on demand there again. */
  notOnDemand: Set<LnkConn> | null = null;

  #template: MessageTemplate | null = null;
  #templateAdd = 0;

  constructor(gateway: GatewayId, link: LinkId, dialect: Dialect, payload: Buffer) {
    this.gateway = gateway;
    this.link = link;
    this.dialect = dialect;
    this.payload = payload;
  }

  /** This is a gateway's own span for its clients, which topology does not know. */
  get isOwnSpan(): boolean {
    return this.link === OWN_SPAN;
  }

  /**
   * The link has closed, or is lost with its connection: relays that are left are about to be closed, and no new one is
   * opened.
   */
  get isClosing(): boolean {
    return this.local !== null && !this.local.isOpen;
  }

  /** The link has a relay on this gateway, or a peer here has refused one. */
  get isInUse(): boolean {
    return this.relays.size > 0 || (this.refusedBy?.size ?? 0) > 0 || (this.notOnDemand?.size ?? 0) > 0;
  }

  /**
   * The LNK_SPAN of the link's relays: its own payload with dist + 1 and, in circuit, rnss + `rnssAdd` (protocol.md,
   * "The link layer" 2). Kept while the link has relays.
   */
  template(rnssAdd: number): MessageTemplate {
    if (this.#template === null || this.#templateAdd !== rnssAdd) {
      // A span that originates at this gateway: its dist stays 0.
      const isOurs = this.isOwnSpan && this.gateway === '';
      const payload = isOurs ? this.payload : relaySpanPayload(this.dialect, this.payload, rnssAdd);
      this.#template = messageTemplate((LNK_SPAN | CREATE) >>> 0, payload);
      this.#templateAdd = rnssAdd;
    }
    return this.#template;
  }

  /** Called when the link's last relay has closed. */
  dropTemplate(): void {
    this.#template = null;
  }
}

/** The linkid routes that use one relay. */
export interface RelayUse {
  /** The relay is the return path of a route: a target answers over it. */
  readonly isReturnPath: boolean;
  /** The relay is about to close: what runs over it ends. What is left of that to be done first; null: nothing. */
  relayClosing(): EndingJob | null;
}

/** Bits of a relay. */
const WANTED = 1;
const CLOSED = 2;

/** A relay: a LNK_SPAN that we open to pass a link on to one LNK_CONN. While it is open, `data` of its transaction. */
export class Relay {
  readonly source: RelaySource;
  readonly lnkConn: LnkConn;
  /**
   * Number of topology's last command that asked for this relay; a report that the peer refused it names this number.
   * 0: no command of this Attach stream has asked for it.
   */
  n: number;
  /** WANTED and CLOSED: one field, as there are hundreds of thousands of relays. */
  #bits: number;
  /** The relay's LNK_SPAN transaction; null while the relay waits for the connection's send queue to drain. */
  tx: Transaction<Relay | null> | null = null;
  /** linkid: the routes over the relay; null: no route has ever used it. */
  use: RelayUse | null = null;
  /** circuit, a link of another gateway: the route transaction on the trunk, while it is open. */
  route: Transaction | null = null;
  /** The relays of the same LNK_CONN that were opened before and after this one (LnkConn.addRelay). */
  previous: Relay | null = null;
  next: Relay | null = null;

  constructor(source: RelaySource, lnkConn: LnkConn, n: number, wanted: boolean) {
    this.source = source;
    this.lnkConn = lnkConn;
    this.n = n;
    this.#bits = wanted ? WANTED : 0;
  }

  /** True: topology wants the relay. False: it is open on demand, as a return path (protocol.md, "Routing, linkid"). */
  get wanted(): boolean {
    return (this.#bits & WANTED) !== 0;
  }

  set wanted(isWanted: boolean) {
    this.#bits = isWanted ? this.#bits | WANTED : this.#bits & ~WANTED;
  }

  get closed(): boolean {
    return (this.#bits & CLOSED) !== 0;
  }

  /** Marks the relay as closed. */
  close(): void {
    this.#bits |= CLOSED;
  }

  /** The relay's link or LNK_CONN is gone: the relay is about to be closed. */
  get isClosing(): boolean {
    return this.source.isClosing || !this.lnkConn.isOpen;
  }

  /** The route transaction has ended: the next message that needs one opens another. */
  routeGone(): void {
    this.route = null;
  }
}

/** A LNK_VOLCONF that a peer has sent. */
export interface ReceivedVolconf {
  /** The 128 bytes of its `copy` field. */
  readonly copy: Buffer;
  /**
   * When it came, microseconds of this gateway's monotonic clock. Strictly rising: of two for one slot the later one
   * counts.
   */
  readonly receivedUs: number;
}

/** A LNK_CONN that a peer has open: its request for spans on its connection. `data` of its transaction. */
export class LnkConn {
  readonly id: LnkConnId;
  readonly peer: Peer;
  readonly tx: Transaction;
  /** The message after the core header, as it came. */
  readonly payload: Buffer;
  /** When it was opened, microseconds of this gateway's monotonic clock. */
  readonly openedUs: number;
  /** Its relays, oldest first: a list through `Relay.next`. Filling a Set takes longer than writing the LNK_SPAN. */
  firstRelay: Relay | null = null;
  #lastRelay: Relay | null = null;
  /** Relays of it that are closed, and whose DELETEs wait for the ends of what ran over them. */
  readonly closes = new SharedEndings();
  /** Number of relays on this LNK_CONN that are open on demand. */
  returnPaths = 0;
  /** Links whose relays the peer has closed (refused) on this LNK_CONN. */
  refused: Set<RelaySource> | null = null;
  /** Links whose relays the peer has closed while they were open on demand, oldest refusal first. */
  notOnDemand: Set<RelaySource> | null = null;
  /** The last valid LNK_VOLCONF of each slot. */
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

  /** The LNK_CONN may have relays: it is neither closed nor lost with its connection. */
  get isOpen(): boolean {
    return !this.#isClosed && this.peer.connection.isOpen;
  }

  /** Marks the LNK_CONN as closed; some of its relays may still be open. */
  closed(): void {
    this.#isClosed = true;
  }

  addRelay(relay: Relay): void {
    const last = this.#lastRelay;
    relay.previous = last;
    if (last === null) this.firstRelay = relay;
    else last.next = relay;
    this.#lastRelay = relay;
  }

  /** Takes out a relay that was added. */
  removeRelay(relay: Relay): void {
    const { previous, next } = relay;
    if (previous === null) this.firstRelay = next;
    else previous.next = next;
    if (next === null) this.#lastRelay = previous;
    else next.previous = previous;
    relay.previous = null;
    relay.next = null;
  }

  get connection(): Connection {
    return this.peer.connection;
  }
}

/** Something that ends when a link closes. */
export interface LinkUser {
  /** The link is about to close. */
  linkClosing(): void;
}

/** A link: a LNK_SPAN that a peer has open. `data` of its transaction. */
export class Link {
  readonly id: LinkId;
  readonly peer: Peer;
  readonly tx: Transaction;
  readonly source: RelaySource;
  /** Age, for the order of links only (architecture.md, "Attach"): unique and rising, whatever the clock does. */
  readonly stamp: number;
  /** When it was opened, microseconds since 1970 by the clock as it was then: for people. */
  readonly sinceUs: number;
  /** Status from the last status message; null: none has come. */
  status: number | null = null;
  /**
   * Routes to the link that do not use a relay of this gateway: those of other gateways, and of this gateway's own
   * clients.
   */
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

  /** The link may have relays: it is neither closed nor lost with its connection. */
  get isOpen(): boolean {
    return !this.#isClosed && this.peer.connection.isOpen;
  }

  /** Marks the link as closed; some of its relays may still be open. */
  closed(): void {
    this.#isClosed = true;
  }

  get connection(): Connection {
    return this.peer.connection;
  }
}
