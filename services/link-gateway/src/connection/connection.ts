import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Opener, PlainSink } from '@spanmesh/dmsg/crypto/cipher';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader, type FrameSink } from '@spanmesh/dmsg/framing';
import { giveBack } from '@spanmesh/dmsg/give-back';
import { SaltSequence } from '@spanmesh/dmsg/salt';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { formatHostPort, type HostPort } from '@spanmesh/runtime/address';
import type { Timer } from '@spanmesh/runtime/clock';
import type { Core } from '../core.ts';
import { peerAddress } from '../entrance/admission.ts';
import type { CipherPair } from '../entrance/crypt/cipher-pair.ts';
import type { Origin } from '../entrance/origin.ts';
import { CLOSE_LINGER_MS } from '../limits.ts';
import type { LnkConn } from '../peers/lnk-conn.ts';
import type { Relay } from '../peers/relay.ts';
import type { Destination, Reader } from '../routing/flow.ts';
import type { Pressure } from '../routing/trunks.ts';
import type { ShellQueue } from '../shell/shell-queue.ts';
import { readWith } from '../socket/read-memory.ts';
import { Backpressure, type BackpressureOwner } from './backpressure.ts';
import { adviceFor, type CloseReason } from './close-reason.ts';
import { MessageDeadline, type MessageReceiver } from './message-deadline.ts';
import { SendQueue, type SendQueueOwner } from './send-queue.ts';

/**
 * Where a connection is in its life; changed in `#become` only.
 *
 * * recognising: the dialect is not known. From the start, unless the dialect is fixed. Leads to open when the peer's first
 *   messages tell the dialect or the time for that is over.
 * * open: it stands; our LNK_CONN is sent, topology knows it. From recognising, or at once.
 * * closing: everything on it has ended; the socket is given a moment to send what is queued, and after `finish` the peer one to
 *   close its side. From recognising and open, by `close`, whatever the reason, and by `finish`.
 * * closed: the socket has closed. From closing, always by way of it.
 */
type State =
  | { readonly kind: 'recognising'; readonly deadline: Timer }
  | { readonly kind: 'open'; readonly endpoint: Endpoint }
  | { readonly kind: 'closing'; readonly reason: CloseReason; readonly deadline: Timer }
  | { readonly kind: 'closed'; readonly reason: CloseReason };

/** What is known of a connection before its first message. */
export interface ConnectionStart {
  /** Numeric address and port of the peer: of the socket, or as its balancer says. */
  readonly remote: HostPort;
  /** As its handshake has left them; null: plaintext. */
  readonly cipher: CipherPair | null;
}

/** Of a connection that is being closed in order. */
export interface Leaving {
  readonly reason: CloseReason;
  /** Why, a sentence for people. */
  readonly why: string;
  /** The peer has answered the end of our LNK_CONN, and with it everything before; may be called more than once. */
  answered(): void;
}

/** More about why a connection is closed, for the log. */
export type CloseDetail = Readonly<Record<string, unknown>>;

/** A TCP link to a peer: socket, framing, transactions. What the messages mean is up to `core.dispatch`. */
export class Connection
  implements
    FrameSink,
    PlainSink,
    EndpointHandler,
    SendQueueOwner,
    MessageReceiver,
    BackpressureOwner,
    Reader,
    Destination
{
  readonly id: number;
  readonly origin: Origin;
  /** Numeric address of the peer, without port. */
  readonly address: string;
  /** Numeric address and port of both sides. */
  readonly remote: string;
  readonly local: string;

  /** Microseconds since 1970: when it came to stand. */
  sinceUs = 0;
  /** linkid: routes that begin on it. */
  routes = 0;
  /** Links that came in on it. */
  links = 0;
  /** Relays that are open on it, on the wire. */
  relays = 0;
  /** LNK_CONNs that the peer has open on it. */
  readonly lnkConns = new Set<LnkConn>();
  /** Relays that wait until it has drained. */
  waitingRelays: Relay[] = [];
  /** Shell commands, if any ever came. */
  shell: ShellQueue | null = null;
  /** Our LNK_CONN. */
  ownLnkConn: Transaction | null = null;
  /** The peer has answered our LNK_CONN, one way or the other. */
  answered = false;
  /** Called once, when it has, or the connection has ended. */
  onAnswered: (() => void) | null = null;
  /** It is being closed in order (drain/orderly-close.ts); null: it is not. */
  leaving: Leaving | null = null;
  /** Its peer has sent FIN: it ends without a loss. */
  peerEnded = false;

  /** When the last byte came, on the clock's monotonic scale. */
  heardAt: number;
  /** Bytes have come at all. */
  heard = false;
  /** Probed by command of topology, and nothing has come since. */
  suspect = false;
  /** A PING of ours is not answered yet. */
  pingOpen = false;
  /** When the last PING was sent, on the clock's monotonic scale. */
  pingedAt = Number.NEGATIVE_INFINITY;
  /** It has answered a PING: the only peers that may be closed for not doing so. */
  answersPings = false;

  readonly #core: Core;
  readonly #socket: Socket;
  /** What had come before it was a connection; null: nothing. */
  #held: Uint8Array | null;
  readonly #reader: FrameReader;
  readonly #queue: SendQueue;
  /** null: plaintext. */
  readonly #opener: Opener | null;
  readonly #deadline: MessageDeadline;
  /** Messages that have come. */
  #messages = 0;
  readonly #backpressure: Backpressure;
  #state: State;
  #silence: Timer | null = null;

  /** Takes over a connected socket; `dialect` null: the peer's first messages tell. Reads nothing until `begin`. */
  constructor(
    connected: Socket,
    dialect: Dialect | null,
    origin: Origin,
    core: Core,
    { remote, cipher }: ConnectionStart,
  ) {
    this.#core = core;
    const { socket, held } = readWith(connected, (chunk) => this.#onData(chunk));
    this.#socket = socket;
    this.#held = held;
    this.origin = origin;
    this.id = core.tables.nextNumber();
    this.address = remote.host;
    this.remote = formatHostPort(remote);
    this.local = formatHostPort({ host: peerAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 });
    this.heardAt = core.clock.now();
    const { options, clock, metrics } = core;
    this.#reader = new FrameReader({ rules: dialect === null ? null : rulesOf(dialect) });
    const sealing = cipher && { sealer: cipher.sealer, onFailed: (error: unknown) => this.#fail(error) };
    this.#queue = new SendQueue(
      { limitBytes: options.sendLimit, stallMs: options.stallTimeout },
      {
        socket,
        clock,
        owner: this,
        metrics,
        notes: { flow: core.flow, destination: this },
        sealing,
        unacknowledged: () => core.kernelQueues.bytesOf(socket),
      },
    );
    this.#opener = cipher?.opener ?? null;
    this.#deadline = new MessageDeadline({ limitMs: options.messageTimeout }, { clock, receiver: this });
    this.#backpressure = new Backpressure(options, { socket, queue: this.#queue, metrics, owner: this });
    this.#state = {
      kind: 'recognising',
      deadline: clock.after(options.dialectTimeout, () => this.#recognitionOver()),
    };
    this.#silence = clock.after(options.silentTimeout, () => this.#silent());
    this.#listenTo(socket);
    // A listener with a fixed dialect speaks first (protocol.md, introduction).
    if (dialect !== null) this.#establish(dialect);
  }

  /** Starts to read; `first`: bytes of the stream that have been read already. */
  begin(first: Uint8Array | null): void {
    if (first !== null && first.length > 0) this.#onData(first);
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#onData(held);
    if (!this.isPaused && this.#state.kind !== 'closed') this.#socket.resume();
  }

  /** Its bytes are encrypted. */
  get isEncrypted(): boolean {
    return this.#opener !== null;
  }

  /** null unless it stands. */
  get endpoint(): Endpoint | null {
    return this.#state.kind === 'open' ? this.#state.endpoint : null;
  }

  /** null unless it stands. */
  get dialect(): Dialect | null {
    return this.endpoint?.rules.dialect ?? null;
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  /** Why it has ended or is ending; null while it has not. */
  get closeReason(): CloseReason | null {
    return this.#state.kind === 'closing' || this.#state.kind === 'closed' ? this.#state.reason : null;
  }

  /** Bytes that wait for the peer. */
  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** It is not read at the moment: its silence means nothing. */
  get isPaused(): boolean {
    return this.#backpressure.isPaused;
  }

  /** More waits for the peer than should: those that send to it are not read until it has drained. */
  get isHigh(): boolean {
    return this.#backpressure.isHigh;
  }

  /** Nothing that it sends is passed on any more once it is leaving: its answers must be read. */
  get mayWait(): boolean {
    return this.isOpen && this.leaving === null;
  }

  resuming(): boolean {
    if (this.#state.kind === 'closed') return false;
    // It was not read: what it has to say comes now.
    this.heardAt = this.#core.clock.now();
    return true;
  }

  /** Calls back once, when it is low again or has ended. */
  onceLow(fn: () => void): void {
    this.#backpressure.onceLow(fn);
  }

  /** Reads no more until the destination is low. */
  pauseFor(destination: Pressure): void {
    this.#backpressure.pauseFor(destination);
  }

  /** Calls back once, when bytes have drained or the connection ends. */
  onceDrained(fn: () => void): void {
    this.#backpressure.onceDrained(fn);
  }

  /** Writes what was queued in this turn. */
  flush(): void {
    if (this.#state.kind === 'closing' || this.#state.kind === 'closed') return;
    if (this.#socket.writableEnded) {
      // We have sent FIN: what a late message of the peer led to cannot be sent any more.
      this.#queue.discard();
      return;
    }
    this.#queue.flush();
    this.#backpressure.queued();
  }

  /** Ends it: what is on it ends as if the peer had aborted it, what is queued is still sent, then the socket closes. */
  close(reason: CloseReason, detail: CloseDetail = {}): void {
    if (!this.#beginClosing(reason, detail, CLOSE_LINGER_MS)) return;
    // A peer that does not read would never take the rest.
    if (reason === 'send-limit' || reason === 'stalled' || reason === 'half-dead') {
      this.#queue.discard();
      this.#socket.destroy();
    } else {
      this.#queue.flushAll();
      this.#socket.destroySoon();
    }
    this.drained();
  }

  /**
   * In order, first half: ends our LNK_CONN; what the peer begins from now on is refused. `leaving.answered` is called when the peer
   * has answered that, perhaps at once.
   */
  leave(leaving: Leaving): void {
    const state = this.#state;
    if (state.kind !== 'open' || this.leaving !== null) return;
    this.leaving = leaving;
    this.#backpressure.waitForNobody();
    if (this.ownLnkConn !== null) state.endpoint.end(this.ownLnkConn);
    if (this.ownLnkConn === null || this.ownLnkConn.rxDeleted) leaving.answered();
  }

  /**
   * In order, second half: everything on it ends, FIN is sent once what is queued is sent, and the peer is given `lingerMs` to close
   * its side.
   */
  finish(lingerMs: number): void {
    const { reason } = this.leaving ?? { reason: 'stopping' as const };
    if (!this.isOpen) {
      this.close(reason);
      return;
    }
    this.#beginClosing(reason, {}, lingerMs);
    this.#queue.flushAll();
    this.#socket.end();
    // What the peer still says is thrown away; its FIN must be read.
    this.#socket.resume();
    this.drained();
  }

  /** Cuts it off: the peer has had its time. */
  abandon(reason: CloseReason): void {
    this.close(reason);
    this.#socket.destroy();
  }

  onFrame(frame: Frame): void {
    if (this.#state.kind === 'recognising') this.#establish(this.#reader.rules!.dialect);
    if (this.#state.kind !== 'open') return;
    this.#core.metrics.messagesIn++;
    this.#messages++;
    this.#state.endpoint.receive(frame);
  }

  onPlain(plain: Uint8Array): void {
    this.#reader.push(plain, this);
  }

  onOpen(tx: Transaction, frame: Frame): void {
    if (this.leaving !== null) {
      tx.endpoint.end(tx, ErrorCode.LOSTLINK);
      return;
    }
    this.#core.dispatch.open(this, tx, frame);
  }

  onOneWay(frame: Frame, circuit: Transaction | null): void {
    this.#core.dispatch.oneWay(this, frame, circuit);
  }

  flushLater(): void {
    this.#core.flushLater(this);
  }

  drained(): void {
    if (this.waitingRelays.length > 0) this.#core.relays.resume(this);
    this.#backpressure.drained();
  }

  overLimit(): void {
    this.close('send-limit', { queued: this.#queue.bytes, limit: this.#core.options.sendLimit });
  }

  stalled(): void {
    this.close('stalled', { queued: this.#queue.bytes });
  }

  messageOverdue(): void {
    this.#tell(ErrorCode.PARAM);
    this.close('message-timeout', { pending: this.#reader.pendingBytes, afterMs: this.#core.options.messageTimeout });
  }

  #become(state: State): void {
    this.#state = state;
  }

  /** Everything on it ends. False: that has happened before. */
  #beginClosing(reason: CloseReason, detail: CloseDetail, lingerMs: number): boolean {
    const state = this.#state;
    if (state.kind === 'closing' || state.kind === 'closed') return false;
    this.#become({
      kind: 'closing',
      reason,
      deadline: this.#core.clock.after(lingerMs, () => this.#socket.destroy()),
    });
    this.#silence?.cancel();
    this.#deadline.stop();
    this.#reader.stop();
    this.#core.receiveMemory.set(this, 0);
    this.#core.metrics.closed[reason]++;
    this.#log(reason, detail);
    if (state.kind === 'recognising') state.deadline.cancel();
    if (state.kind === 'open') this.#end(state.endpoint);
    return true;
  }

  #listenTo(socket: Socket): void {
    // protocol.md, "Transactions": TCP half-close counts as the end of the link.
    socket.on('end', () => {
      this.peerEnded = true;
      this.close(this.leaving?.reason ?? 'peer-closed');
    });
    // `close` follows by itself.
    socket.on('error', (error: NodeJS.ErrnoException) => this.close('socket-error', { code: error.code }));
    socket.on('close', () => this.#onClose());
  }

  #onData(chunk: Uint8Array): void {
    const { metrics, clock, receiveMemory } = this.#core;
    metrics.bytesIn += chunk.length;
    this.heardAt = clock.now();
    if (!this.heard) {
      this.heard = true;
      this.#silence?.cancel();
      this.#silence = null;
    }
    if (this.suspect) this.#showsLife();
    if (this.#state.kind === 'closing' || this.#state.kind === 'closed') return;
    const { flow } = this.#core;
    const messages = this.#messages;
    flow.begin();
    try {
      if (this.#opener === null) {
        if (this.#reader.push(chunk, this)) giveBack(chunk);
      } else {
        this.#opener.open(chunk, this);
        giveBack(chunk);
      }
    } catch (error) {
      this.#fail(error);
    }
    flow.end(this);
    if (this.closeReason !== null) return;
    const pending = this.#reader.pendingBytes + (this.#opener?.pendingBytes ?? 0);
    receiveMemory.set(this, pending);
    this.#deadline.note(pending, this.#messages !== messages);
  }

  /** Runs what a peer's bytes lead to: whatever goes wrong there costs this connection only. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (error instanceof DmsgError) {
      const name = errorName(error.code);
      const { protocolErrors } = this.#core.metrics;
      protocolErrors[name] = (protocolErrors[name] ?? 0) + 1;
      // The endpoint's word for a limit that the peer is over.
      const isLimit = error.code === ErrorCode.PARAM;
      if (isLimit) this.#tell(error.code);
      this.close(isLimit ? 'transaction-limit' : 'protocol-error', {
        error: name,
        rule: error.reason,
        ...error.data,
      });
    } else {
      this.#core.metrics.internalErrors++;
      this.close('internal', { err: error });
    }
  }

  /** Says why, one-way (protocol.md, "Transactions": never answered), before the connection is closed. */
  #tell(error: ErrorCode): void {
    if (this.#state.kind === 'open') this.#state.endpoint.oneWay(LNK_ERROR, error);
  }

  #showsLife(): void {
    this.suspect = false;
    if (this.#state.kind !== 'open') return;
    this.#core.reports.connectionAlive(this);
  }

  /** protocol.md, introduction: the peer has not shown its dialect in time: go on in the default one, and speak. */
  #recognitionOver(): void {
    if (this.#state.kind !== 'recognising') return;
    const dialect = this.#core.options.defaultDialect;
    this.#guard(() => {
      this.#establish(dialect);
      this.#reader.setRules(rulesOf(dialect));
    });
  }

  #silent(): void {
    this.#silence = null;
    this.close('silent', { afterMs: this.#core.options.silentTimeout });
  }

  #establish(dialect: Dialect): void {
    if (this.#state.kind === 'recognising') this.#state.deadline.cancel();
    const endpoint = new Endpoint(
      { rules: rulesOf(dialect), maxTransactions: this.#core.options.maxTransactions, generation: randomInt(2 ** 32) },
      { out: this.#queue.out, handler: this, salts: new SaltSequence() },
    );
    this.#become({ kind: 'open', endpoint });
    this.sinceUs = Math.floor(this.#core.clock.wall() * 1000);
    this.#core.established(this);
    // protocol.md, "The link layer" 1. The peer's answer, and its refusal, need no more than the endpoint does by itself, but a
    // refusal or close is answered with our DELETE.
    this.ownLnkConn = endpoint.open(endpoint.rules.lnkConn, null, OWN_LNK_CONN, this.#core.ownLnkConn.payload(dialect));
    this.ownLnkConn.data = this;
  }

  /** Everything on it ends. Topology hears of the connection only (gateway_control.proto, StateChange). */
  #end(endpoint: Endpoint): void {
    const { tables, reports } = this.#core;
    tables.connections.delete(this.id);
    reports.connectionClosed(this);
    this.waitingRelays = [];
    this.#guard(() => endpoint.lost(ErrorCode.LOSTLINK));
  }

  #onClose(): void {
    // Without `end` or `error`, e.g. after the peer's FIN had been overtaken by our destroy.
    this.close('peer-closed');
    if (this.#state.kind !== 'closing') return;
    const { reason, deadline } = this.#state;
    deadline.cancel();
    this.#become({ kind: 'closed', reason });
    this.#core.entrance.admission.release(this.address);
    this.#core.gone(this, reason);
    this.onAnswered?.();
    this.onAnswered = null;
  }

  #log(reason: CloseReason, detail: CloseDetail): void {
    const { logger, throttle } = this.#core;
    const advice = adviceFor(reason);
    const fields = { connection: this.id, peer: this.remote, reason, ...detail };
    if (advice === null) {
      logger.debug(fields, 'connection closed');
      return;
    }
    const { log, suppressed } = throttle.admit(`${reason} ${this.address}`);
    if (!log) return;
    const line = { ...fields, advice, suppressed };
    if (reason === 'internal') logger.error(line, 'connection closed');
    else logger.warn(line, 'connection closed');
  }
}

/** protocol.md, "The link layer" 1: a peer that refuses or closes our LNK_CONN gets our DELETE. */
const OWN_LNK_CONN: TransactionHandler = {
  onMessage(tx) {
    const connection = tx.data as Connection;
    if (!connection.answered) {
      connection.answered = true;
      connection.onAnswered?.();
      connection.onAnswered = null;
    }
    if (!tx.rxDeleted) return;
    tx.endpoint.end(tx);
    connection.leaving?.answered();
  },
  onLost() {},
};
