import { LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { DmsgSocket, type DmsgSocketOwner } from '@spanmesh/dmsg-socket/stream/dmsg-socket';
import { faultOf } from '@spanmesh/dmsg-socket/stream/fault';
import type { Destination, Reader } from '@spanmesh/dmsg-socket/stream/flow';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { Tap } from '@spanmesh/dmsg-socket/stream/tap';
import { formatHostPort } from '@spanmesh/runtime/address';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { ConnId } from '@spanmesh/spantree/ids';
import { peerAddress } from '../address/peer-address.ts';
import { CLOSE_LINGER_MS } from '../limits.ts';
import type { Holdings } from '../shares/gateway-shares.ts';
import { Backpressure, type BackpressureOwner } from './backpressure.ts';
import { type CloseDetail, logClose } from './close-log.ts';
import type { CloseReason } from './close-reason.ts';
import type { ConnectionDependencies, ConnectionEvents, ConnectionStart } from './connection-start.ts';
import type { ConnectionState } from './connection-state.ts';
import { MessageDeadline, type MessageReceiver } from './message-deadline.ts';
import type { Origin } from './origin.ts';
import { makePeerEndpoint } from './peer-endpoint.ts';
import { ReadAccount } from './read-account.ts';
import { Silence } from './silence.ts';
import { type TrafficCounts, trafficOf } from './traffic-counts.ts';

/** A TCP connection to a peer: socket, framing, transactions. What the messages mean is up to ConnectionEvents. */
export class Connection implements DmsgSocketOwner, MessageReceiver, BackpressureOwner, Reader, Destination {
  readonly id: ConnId;
  readonly origin: Origin;
  /** Numeric address of the peer, without port. */
  readonly address: string;
  /** Numeric address and port of both sides. */
  readonly remote: string;
  readonly local: string;
  /** Principal whose share of the gateway it takes. */
  readonly principal: string;
  readonly holdings: Holdings;

  readonly #deps: ConnectionDependencies;
  readonly #events: ConnectionEvents;
  readonly #wire: DmsgSocket;
  readonly #deadline: MessageDeadline;
  /** Messages that have come. */
  #messages = 0;
  readonly #account: ReadAccount;
  readonly #backpressure: Backpressure;
  #state: ConnectionState;
  readonly #silence: Silence;

  /** Microseconds since 1970: when it was established. */
  #sinceUs = 0;
  /** When it was established, on the clock's monotonic scale, milliseconds. */
  #establishedAt = 0;
  /** Why the connection is being closed in order; null: it is not. */
  #leavingFor: CloseReason | null = null;
  /** The peer has sent FIN, so the connection ends in order and is not cut off. */
  #peerEnded = false;

  /** Takes over a connected socket. Reads nothing, and tells nothing, until `begin`. */
  constructor(start: ConnectionStart, deps: ConnectionDependencies, events: ConnectionEvents) {
    const { id, origin, remote, principal, cipher } = start;
    this.#deps = deps;
    this.#events = events;
    const { options, clock, metrics } = deps;
    this.#wire = new DmsgSocket(
      { rules: null, limitBytes: options.sendLimit, stallMs: options.stallTimeout },
      {
        socket: start.socket,
        cipher,
        clock,
        owner: this,
        counts: metrics,
        notes: { flow: deps.flow, destination: this },
        unacknowledged: (socket) => deps.kernelQueues.bytesOf(socket),
      },
    );
    const { socket, queue } = this.#wire;
    this.origin = origin;
    this.id = id;
    this.address = remote.host;
    this.remote = formatHostPort(remote);
    this.principal = principal;
    this.holdings = deps.shares.open(this, principal);
    this.#account = new ReadAccount(this, deps);
    this.local = formatHostPort({ host: peerAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 });
    this.#deadline = new MessageDeadline({ limitMs: options.messageTimeout }, { clock, receiver: this });
    this.#backpressure = new Backpressure(options, { socket, queue, metrics, owner: this });
    this.#state = {
      kind: 'recognising',
      deadline: clock.after(options.dialectTimeout, () => this.#recognitionOver()),
    };
    const limitMs = options.silentTimeout;
    this.#silence = new Silence({ limitMs }, { clock, ended: () => this.close('silent', { afterMs: limitMs }) });
  }

  /**
   * Starts to read. `dialect` null: the peer's first messages tell it; `first`: bytes of the stream that were read
   * already.
   */
  begin(dialect: Dialect | null, first: Uint8Array | null): void {
    // A listener with a fixed dialect speaks first (protocol.md, introduction).
    if (dialect !== null) {
      this.#wire.setRules(rulesOf(dialect));
      this.#establish(dialect);
    }
    this.#wire.begin(first);
    if (!this.isPaused && this.#state.kind !== 'closed') this.#wire.resume();
  }

  /** Its bytes are encrypted. */
  get isEncrypted(): boolean {
    return this.#wire.isEncrypted;
  }

  /** null unless it is open. */
  get endpoint(): Endpoint | null {
    return this.#state.kind === 'open' ? this.#state.endpoint : null;
  }

  /** null unless it is open. */
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
    return this.#wire.queue.bytes;
  }

  /** Counts of what has passed on the connection; null unless it is open. */
  get traffic(): TrafficCounts | null {
    const { endpoint } = this;
    if (endpoint === null) return null;
    const { pauses } = this.#backpressure;
    return trafficOf(endpoint, this.#wire, { pauses, ageMs: this.#deps.clock.now() - this.#establishedAt });
  }

  get tap(): Tap | null {
    return this.#wire.tap;
  }

  /** Who is shown what is read and written from now on; null: nobody. */
  set tap(tap: Tap | null) {
    this.#wire.tap = tap;
  }

  /** The connection is not read at the moment: its silence means nothing. */
  get isPaused(): boolean {
    return this.#backpressure.isPaused;
  }

  /**
   * The queue for the peer is above its high-water mark: connections that send to it are not read until it has drained.
   */
  get isHigh(): boolean {
    return this.#backpressure.isHigh;
  }

  /**
   * False once the connection is leaving: its peer's messages are not passed on any more, and its answers must be read.
   */
  get mayWait(): boolean {
    return this.isOpen && this.#leavingFor === null;
  }

  /** Microseconds since 1970: when it was established. */
  get sinceUs(): number {
    return this.#sinceUs;
  }

  /** When the last byte came, on the clock's monotonic scale. */
  get heardAt(): number {
    return this.#silence.heardAt;
  }

  /** The peer has sent FIN, so the connection ends in order and is not cut off. */
  get peerEnded(): boolean {
    return this.#peerEnded;
  }

  resuming(): boolean {
    if (this.#state.kind === 'closed') return false;
    // The connection was not read for a while: the time of silence begins now.
    this.#silence.begin();
    return true;
  }

  /** Calls back once, when the queue is low again or the connection has ended. */
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
    if (this.#wire.flush()) this.#backpressure.queued();
  }

  /** Aborts all transactions as if the peer had, flushes the queue, closes the socket. */
  close(reason: CloseReason, detail: CloseDetail = {}): void {
    if (!this.#beginClosing(reason, detail, CLOSE_LINGER_MS)) return;
    // A peer that does not read would never take the rest.
    if (reason === 'send-limit' || reason === 'stalled' || reason === 'half-dead' || reason === 'share') {
      this.#wire.cut();
    } else {
      this.#wire.closeSoon();
    }
    this.drained();
  }

  /**
   * First half of a close in order: no destination is waited for any more, and the peer's FIN ends it for this reason.
   */
  leave(reason: CloseReason): void {
    this.#leavingFor = reason;
    this.#backpressure.waitForNobody();
  }

  /**
   * Second half of a close in order: all transactions end, FIN is sent after what is queued, and the peer is given
   * `lingerMs` to close its side.
   */
  finish(lingerMs: number): void {
    const reason = this.#leavingFor ?? 'stopping';
    if (!this.isOpen) {
      this.close(reason);
      return;
    }
    this.#beginClosing(reason, {}, lingerMs);
    this.#wire.finish();
    this.drained();
  }

  /** Destroys the socket: the peer has not closed its side within the time that it was given. */
  abandon(reason: CloseReason): void {
    this.close(reason);
    this.#wire.socket.destroy();
  }

  onFrame(frame: Frame): void {
    if (this.#state.kind === 'recognising') this.#establish(this.#wire.rules!.dialect);
    if (this.#state.kind !== 'open') return;
    this.#deps.metrics.messagesIn++;
    this.#messages++;
    this.#state.endpoint.receive(frame);
  }

  beforeRead(): boolean {
    this.#silence.heard();
    this.#events.heard();
    if (this.#state.kind === 'closing' || this.#state.kind === 'closed') return false;
    this.#account.begin(this, this.#messages);
    return true;
  }

  afterRead(bytes: number): void {
    this.#account.end(this, bytes, this.#silence.heardAt);
    if (this.closeReason !== null) return;
    const pending = this.#wire.pendingBytes;
    this.#deadline.note(pending, this.#account.hasBrought(this.#messages));
    if (this.#state.kind === 'open') this.#account.note(this.#state.endpoint);
    // Last: this may close the connection, if it holds most and has to give way.
    this.#deps.shares.received.set(this.holdings.received, pending);
  }

  onFailed(thrown: unknown): void {
    const fault = faultOf(thrown);
    if (fault.kind === 'internal') {
      this.#deps.metrics.internalErrors++;
      this.close('internal', fault.detail);
      return;
    }
    const { protocolErrors } = this.#deps.metrics;
    protocolErrors[fault.name] = (protocolErrors[fault.name] ?? 0) + 1;
    // PARAM is how the endpoint says that the peer is over the limit of transactions.
    const isLimit = fault.code === ErrorCode.PARAM;
    if (isLimit) this.#tell(fault.code);
    this.close(isLimit ? 'transaction-limit' : 'protocol-error', fault.detail);
  }

  onFin(): void {
    this.#peerEnded = true;
    this.close(this.#leavingFor ?? 'peer-closed');
  }

  onBroken({ code }: NodeJS.ErrnoException): void {
    this.close('socket-error', { code });
  }

  onClose(): void {
    // `onClose` may be the first event, e.g. if the socket was destroyed before the peer's FIN was read.
    this.close('peer-closed');
    if (this.#state.kind !== 'closing') return;
    const { reason, deadline } = this.#state;
    deadline.cancel();
    this.#become({ kind: 'closed', reason });
    this.#events.gone(reason);
  }

  flushLater(): void {
    this.#deps.turnFlush.later(this);
  }

  drained(): void {
    this.#events.drained();
    this.#backpressure.drained();
  }

  waits(bytes: number): void {
    this.#deps.shares.sent.set(this.holdings.sent, bytes);
  }

  overLimit(): void {
    this.close('send-limit', { queued: this.queuedBytes, limit: this.#deps.options.sendLimit });
  }

  stalled(): void {
    this.close('stalled', { queued: this.queuedBytes });
  }

  messageOverdue(): void {
    this.#tell(ErrorCode.PARAM);
    this.close('message-timeout', { pending: this.#wire.pendingBytes, afterMs: this.#deps.options.messageTimeout });
  }

  #become(state: ConnectionState): void {
    this.#state = state;
  }

  /** Ends all transactions and stops reading. False: the connection was closing or closed before. */
  #beginClosing(reason: CloseReason, detail: CloseDetail, lingerMs: number): boolean {
    const state = this.#state;
    if (state.kind === 'closing' || state.kind === 'closed') return false;
    this.#become({
      kind: 'closing',
      reason,
      deadline: this.#deps.clock.after(lingerMs, () => this.#wire.socket.destroy()),
    });
    this.#silence.stop();
    this.#deadline.stop();
    this.#wire.stopReading();
    this.#deps.metrics.closed[reason]++;
    logClose(this, reason, detail, this.#deps);
    if (state.kind === 'recognising') state.deadline.cancel();
    if (state.kind === 'open') this.#end(state.endpoint);
    this.#deps.shares.close(this.holdings);
    return true;
  }

  /** Runs what a peer's bytes lead to: an error closes this connection only. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.onFailed(error);
    }
  }

  /**
   * Tells the peer by a one-way LNK_ERROR why its connection is closed (protocol.md, "Transactions": never answered).
   */
  #tell(error: ErrorCode): void {
    if (this.#state.kind === 'open') this.#state.endpoint.oneWay(LNK_ERROR, error);
  }

  /** protocol.md, introduction: the peer has not shown its dialect in time: go on in the default one, and speak. */
  #recognitionOver(): void {
    if (this.#state.kind !== 'recognising') return;
    const dialect = this.#deps.options.defaultDialect;
    this.#guard(() => {
      this.#establish(dialect);
      this.#wire.setRules(rulesOf(dialect));
    });
  }

  #establish(dialect: Dialect): void {
    if (this.#state.kind === 'recognising') this.#state.deadline.cancel();
    const endpoint = makePeerEndpoint(
      { dialect, maxTransactions: this.#deps.options.maxTransactions },
      {
        out: this.#wire.queue.out,
        handler: this.#events,
        inSlices: (job) => this.#deps.endings.run(this.principal, this.#telling(job)),
      },
    );
    this.#become({ kind: 'open', endpoint });
    this.#sinceUs = Math.floor(this.#deps.clock.wall() * 1000);
    this.#establishedAt = this.#deps.clock.now();
    this.#events.established(endpoint);
  }

  /** Ends all transactions with LOSTLINK, in slices. */
  #end(endpoint: Endpoint): void {
    this.#events.ending();
    this.#deps.endings.run(this.principal, this.#telling(endpoint.losing(ErrorCode.LOSTLINK)));
  }

  /** Ends transactions: an error in a handler costs this connection only. */
  *#telling(losing: Job<void>): Job<void> {
    try {
      yield* losing;
    } catch (error) {
      this.onFailed(error);
    }
  }
}
