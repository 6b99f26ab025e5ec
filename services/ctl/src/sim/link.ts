import type { Socket } from 'node:net';
import { BASE_MASK, DELETE, LNK_ERROR, LNK_PAD, LNK_PING, LNK_SPAN, REPLY } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { decodeLnkConn, encodeLnkConn, type LnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpan, encodeLnkSpan, LNK_SPAN_BYTES, type LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { LinkAddress, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Secured } from '@spanmesh/dmsg-socket/handshake/handshaker';
import { PeerEnd, type PeerEndHandler } from '@spanmesh/dmsg-socket/stream/peer-end';
import type { Requester, RequestPort } from './requester.ts';
import type { ServedLink, SpanService } from './span-service.ts';

/**
 * Longest wait for the router to close the transactions that we close, and then for it to close the connection, in
 * milliseconds.
 */
const CLOSE_WAIT_MS = 2000;

export interface SimLinkOptions {
  /** The LNK_CONN that is sent; its dialect is the connection's. */
  readonly lnkConn: LnkConn;
}

export interface SimLinkEvents {
  /** Both sides' LNK_CONNs are open: spans may be offered. */
  onUp(): void;
  /** The router opened a relay to us. */
  onRelay(): void;
  /** The last call: the connection has ended. `reason`: why, in a few words; null: we closed it. */
  onEnd(reason: string | null): void;
}

export interface SimLinkDependencies {
  /** A connected socket. */
  readonly socket: Socket;
  /** The result of a handshake on the socket. Default, and null: plaintext. */
  readonly secured?: Secured | null;
  readonly events: SimLinkEvents;
  readonly service: SpanService;
  /** Uses the relays; null: they stay unused. */
  readonly requester: Requester | null;
}

/**
 * The states of a connection; changed in `#become` only.
 *
 * * connecting: our LNK_CONN is sent. From the start.
 * * up: the router's LNK_CONN has come and ours is accepted. From connecting.
 * * closing: spans, then LNK_CONN, are being closed. From up, by `close`.
 * * finishing: FIN is sent. From closing; from connecting by `close`; from both and up when the router closes our
 *   LNK_CONN.
 * * ended: from anywhere, when the socket has closed.
 */
type State = 'connecting' | 'up' | 'closing' | 'finishing' | 'ended';

/** One connection of a simulated peer: an end node as protocol.md, "The link layer" describes it. */
export class SimLink implements PeerEndHandler, ServedLink, RequestPort {
  /** Relays that the router has open to us. */
  relays = 0;

  readonly #lnkConn: LnkConn;
  readonly #end: PeerEnd;
  readonly #events: SimLinkEvents;
  readonly #service: SpanService;
  readonly #requester: Requester | null;
  readonly #endpoint: Endpoint;
  readonly #spans = new Map<Transaction, LnkSpan>();
  #state: State = 'connecting';
  #conn: Transaction | null = null;
  #isAccepted = false;
  /** peer_mask of the router's LNK_CONN; null before that comes. */
  #wants: { readonly lo: number; readonly hi: number } | null = null;
  #closeTimer: NodeJS.Timeout | null = null;
  #reason: string | null = null;

  constructor(
    { lnkConn }: SimLinkOptions,
    { socket, secured = null, events, service, requester }: SimLinkDependencies,
  ) {
    this.#lnkConn = lnkConn;
    this.#events = events;
    this.#service = service;
    this.#requester = requester;
    socket.setNoDelay(true);
    this.#end = new PeerEnd({ rules: rulesOf(lnkConn.dialect) }, { socket, handler: this, cipher: secured });
    this.#endpoint = this.#end.endpoint;
    this.#openConn();
    this.#end.begin(secured?.rest);
  }

  /** Whether both sides' LNK_CONNs are open. */
  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** Spans that are offered. */
  get offered(): number {
    let offered = 0;
    for (const tx of this.#spans.keys()) if (!tx.txDeleted) offered++;
    return offered;
  }

  /** Bytes that the router has not taken yet, those in the socket included. */
  get queuedBytes(): number {
    return this.#end.queuedBytes;
  }

  request(
    relay: Transaction,
    cmd: number,
    handler: TransactionHandler,
    payload: Uint8Array,
    aux: Uint8Array | null,
  ): Transaction | null {
    if (this.#state !== 'up' || relay.rxDeleted || relay.txDeleted) return null;
    const { stacked } = this.#endpoint.rules;
    const address = stacked ? null : this.#addressOf(relay);
    if (!stacked && address === null) return null;
    return this.#endpoint.open(cmd, stacked ? relay : null, handler, payload, 0, aux, address);
  }

  /** Offers a span; null if the router's LNK_CONN does not want its peer type, or the link is not up. */
  offer(span: LnkSpan): Transaction | null {
    if (this.#state !== 'up' || !this.#isWanted(span.peerType)) return null;
    const payload = new Uint8Array(LNK_SPAN_BYTES);
    encodeLnkSpan(span, payload, 0);
    const tx = this.#endpoint.open(LNK_SPAN, null, this.#spanHandler, payload);
    this.#spans.set(tx, span);
    return tx;
  }

  /** Withdraws an offered span. */
  withdraw(tx: Transaction): void {
    this.#endpoint.end(tx);
  }

  /**
   * Closes spans, then LNK_CONN, then the connection, each as soon as the router has closed its side of the one before.
   * `onEnd` follows.
   */
  close(): void {
    if (this.#state === 'connecting') {
      // Nothing is open yet whose closing would have to be awaited.
      if (this.#conn !== null) this.#endpoint.end(this.#conn);
      this.#finish();
    }
    if (this.#state !== 'up') return;
    this.#become('closing');
    this.#closeTimer = setTimeout(() => this.#finish(), CLOSE_WAIT_MS);
    for (const tx of this.#spans.keys()) this.#endpoint.end(tx);
    this.#closeFurther();
  }

  onFailed(thrown: unknown): void {
    if (!(thrown instanceof DmsgError)) throw thrown;
    this.#lose(thrown.message);
  }

  onFin(): void {
    this.#lose('the router closed the connection');
  }

  onBroken({ message }: Error): void {
    this.#reason ??= message;
  }

  onClose(): void {
    const isOrderly = this.#state === 'finishing';
    this.#become('ended');
    if (this.#closeTimer !== null) clearTimeout(this.#closeTimer);
    this.#endpoint.lost(ErrorCode.EOF);
    this.#events.onEnd(this.#reason ?? (isOrderly ? null : 'the connection was lost'));
  }

  onOpen(tx: Transaction, frame: Frame): void {
    const base = frame.cmd & BASE_MASK;
    if (base === this.#endpoint.rules.lnkConn) {
      this.#acceptConn(tx, frame);
    } else if (base === LNK_SPAN) {
      this.#acceptRelay(tx, frame);
    } else if (base === LNK_PING) {
      // protocol.md, "Transactions": PING as a transaction is answered inside it, and ended with DELETE. "Message":
      // linkid's reference does not know PING.
      if (this.#endpoint.rules.stacked) this.#endpoint.send(tx, LNK_PING | DELETE);
      else this.#endpoint.end(tx, ErrorCode.NOSUPP);
    } else {
      const span = this.#spanOf(tx);
      if (span === undefined || !this.#service.onOpen(tx, frame, span, this)) this.#endpoint.end(tx, ErrorCode.NOSUPP);
    }
  }

  onOneWay(frame: Frame, circuit: Transaction | null): void {
    const { cmd } = frame;
    const base = cmd & BASE_MASK;
    // protocol.md, "Transactions": these messages are never answered.
    if ((cmd & REPLY) !== 0 || base === LNK_ERROR || base === LNK_PAD) return;
    const isKnown = base === LNK_PING && this.#endpoint.rules.stacked;
    this.#endpoint.oneWay(
      isKnown ? LNK_PING | REPLY : LNK_ERROR | REPLY,
      isKnown ? 0 : ErrorCode.NOSUPP,
      null,
      null,
      circuit,
      circuit === null ? backTo(frame, this.#endpoint.rules.stacked) : null,
    );
  }

  #openConn(): void {
    const { dialect } = this.#lnkConn;
    const payload = new Uint8Array(lnkConnBytes(dialect));
    encodeLnkConn(this.#lnkConn, payload, 0);
    this.#conn = this.#endpoint.open(rulesOf(dialect).lnkConn, null, this.#connHandler, payload);
  }

  #acceptConn(tx: Transaction, frame: Frame): void {
    // A second LNK_CONN would be answered with PARAM (protocol.md, "The link layer" 2); a router does not need one.
    if (this.#wants !== null) {
      this.#endpoint.end(tx, ErrorCode.PARAM);
      return;
    }
    const { peerMaskLo: lo, peerMaskHi: hi } = decodeLnkConn(frame);
    this.#wants = { lo, hi };
    tx.handler = {
      onMessage: (_tx, message) => {
        if ((message.cmd & DELETE) === 0) return;
        this.#wants = null;
        for (const span of this.#spans.keys()) this.#endpoint.end(span);
        this.#endpoint.end(tx);
      },
      onLost() {},
    };
    if ((frame.cmd & DELETE) !== 0) this.#endpoint.end(tx);
    else this.#endpoint.send(tx, LNK_ERROR);
    this.#checkUp();
  }

  #acceptRelay(tx: Transaction, frame: Frame): void {
    this.relays++;
    tx.handler = this.#relayHandler;
    this.#events.onRelay();
    // protocol.md, "stacking": circuit acknowledges a LNK_SPAN; linkid does not, its first answer is the end.
    if ((frame.cmd & DELETE) !== 0) this.#endpoint.end(tx);
    else if (this.#endpoint.rules.stacked) this.#endpoint.send(tx, LNK_ERROR);
    if (!tx.rxDeleted) this.#requester?.onRelay(tx, decodeLnkSpan(frame, this.#lnkConn.dialect), this);
  }

  readonly #connHandler: TransactionHandler = {
    onMessage: (tx, frame) => {
      this.#isAccepted = true;
      if ((frame.cmd & DELETE) !== 0) {
        this.#endpoint.end(tx);
        if (this.#state !== 'closing') this.#reason ??= `LNK_CONN was closed: ${errorName(frame.error)}`;
      }
      this.#checkUp();
    },
    onLost() {},
    onGone: () => {
      this.#conn = null;
      // The router has closed our LNK_CONN: nothing more will come on this connection, so the peer must connect anew.
      if (this.#state === 'connecting' || this.#state === 'up') this.#finish();
      else this.#closeFurther();
    },
  };

  readonly #relayHandler: TransactionHandler = {
    onMessage: (tx, frame) => {
      if ((frame.cmd & DELETE) !== 0) this.#endpoint.end(tx);
    },
    onLost() {},
    onGone: (tx) => {
      this.relays--;
      this.#requester?.onRelayGone(tx);
    },
  };

  readonly #spanHandler: TransactionHandler = {
    onMessage: (tx, frame) => {
      if ((frame.cmd & DELETE) !== 0) this.#endpoint.end(tx);
    },
    onLost() {},
    onGone: (tx) => {
      this.#spans.delete(tx);
      this.#closeFurther();
    },
  };

  /** The span of ours on which a transaction of the router runs. */
  #spanOf(tx: Transaction): LnkSpan | undefined {
    if (tx.circuit !== null) {
      let at = tx.circuit;
      while (at.circuit !== null) at = at.circuit;
      return this.#spans.get(at);
    }
    // linkid: answers swap source and target, so the message's target is the source of our answers.
    const target = this.#endpoint.findOwn(tx.fromLo, tx.fromHi);
    return target === undefined ? undefined : this.#spans.get(target);
  }

  /**
   * linkid: the address from a span of ours to a relay (protocol.md, "Routing, linkid"); null if no span is offered.
   */
  #addressOf(relay: Transaction): LinkAddress | null {
    for (const source of this.#spans.keys()) {
      if (source.txDeleted || source.rxDeleted) continue;
      const { msgidLo: sourceLo, msgidHi: sourceHi } = source;
      return { sourceLo, sourceHi, targetLo: relay.msgidLo, targetHi: relay.msgidHi };
    }
    return null;
  }

  #isWanted(peerType: number): boolean {
    if (this.#wants === null) return false;
    return ((peerType < 32 ? this.#wants.lo >>> peerType : this.#wants.hi >>> (peerType - 32)) & 1) === 1;
  }

  #checkUp(): void {
    if (this.#state !== 'connecting' || !this.#isAccepted || this.#conn === null || this.#wants === null) return;
    this.#become('up');
    this.#events.onUp();
  }

  #closeFurther(): void {
    if (this.#state !== 'closing' || this.#spans.size > 0) return;
    if (this.#conn === null) this.#finish();
    else this.#endpoint.end(this.#conn);
  }

  /** Sends the rest of the queue and FIN; `onClose` reports the connection's end. */
  #finish(): void {
    if (this.#state === 'finishing' || this.#state === 'ended') return;
    this.#become('finishing');
    this.#end.finish();
    if (this.#closeTimer !== null) clearTimeout(this.#closeTimer);
    this.#closeTimer = setTimeout(() => this.#end.cut(), CLOSE_WAIT_MS);
  }

  #lose(reason: string): void {
    if (this.#state !== 'finishing') this.#reason ??= reason;
    this.#end.cut();
  }

  #become(state: State): void {
    this.#state = state;
  }
}

/** linkid: the address of an answer, with source and target swapped (protocol.md, "Routing, linkid"). */
function backTo(frame: Frame, stacked: boolean): LinkAddress | null {
  if (stacked) return null;
  return {
    sourceLo: frame.targetLo,
    sourceHi: frame.targetHi,
    targetLo: frame.circuitLo,
    targetHi: frame.circuitHi,
  };
}
