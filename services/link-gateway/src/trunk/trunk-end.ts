import type { Socket } from 'node:net';
import { BASE_MASK, DELETE, LNK_PING, REPLY } from '@spanmesh/dmsg/command';
import { type Dialect, TRUNK } from '@spanmesh/dmsg/dialect';
import type { Endpoint, EndpointHandler } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { SALT_AT } from '@spanmesh/dmsg/header';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import { readU32 } from '@spanmesh/dmsg/words';
import { DmsgSocket, type DmsgSocketOwner } from '@spanmesh/dmsg-socket/stream/dmsg-socket';
import { faultOf } from '@spanmesh/dmsg-socket/stream/fault';
import type { Destination, Flow, Reader } from '@spanmesh/dmsg-socket/stream/flow';
import type { Clock } from '@spanmesh/runtime/clock';
import type { LinkId } from '@spanmesh/spantree/ids';
import { type TrafficCounts, trafficOf } from '../connection/traffic-counts.ts';
import type { RouteSource, RouteTerminal, RouteTransaction } from '../routing/trunks.ts';
import { FREE_WINDOW, OutWindow, release, type Waiter } from './credit.ts';
import { InWindows } from './in-windows.ts';
import { KeepAlive } from './keep-alive.ts';
import {
  ALIVE_MS,
  MAX_TRUNK_TRANSACTIONS,
  QUEUE_HIGH_BYTES,
  QUEUE_LIMIT_BYTES,
  QUEUE_LOW_BYTES,
  STALL_MS,
  WAITING_LIMIT_BYTES,
} from './limits.ts';
import type { LocalDestinations } from './local-destinations.ts';
import {
  CREDIT,
  decodeCredit,
  decodeRouteOpen,
  decodeWindowFreed,
  encodeCredit,
  encodeRouteOpen,
  encodeRouteOpened,
  encodeWindowFreed,
  ROUTE_OPEN,
  ROUTE_OPENED,
  WINDOW_FREED,
} from './messages.ts';
import { OutWindows } from './out-windows.ts';
import { Route, type RouteOwner } from './route.ts';
import { RouteTable } from './route-table.ts';
import { makeTrunkEndpoint } from './trunk-endpoint.ts';
import type { TrunkLossReason, TrunkMetrics } from './trunk-metrics.ts';
import { TrunkOutbox } from './trunk-outbox.ts';
import type { WindowShares } from './window-shares.ts';

/** A trunk is never paused: credits slow its senders instead. */
const ALWAYS_READ: Reader = { pauseFor() {} };

export interface TrunkEndDependencies {
  /** Id of this gateway, `<name>.<boot>`. */
  readonly self: string;
  readonly clock: Clock;
  readonly metrics: TrunkMetrics;
  readonly terminal: RouteTerminal;
  readonly destinations: LocalDestinations;
  /** Shared by all trunks of this gateway. */
  readonly shares: WindowShares;
  /** Messages that follow from a read are written at its end. */
  readonly flow: Flow;
  /** Runs the job, which ends things on this trunk: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (job: EndingJob) => void;
  /** The trunk's transport (TLS) protects its bytes. */
  readonly isProtected: boolean;
  /** Asks for a flush of this end at the end of the turn. */
  readonly flushLater: (end: TrunkEnd) => void;
  /** This end was lost, or has failed. Its transactions are told after this call returns, perhaps in later turns. */
  readonly ended: (end: TrunkEnd, reason: TrunkLossReason, detail: Readonly<Record<string, unknown>>) => void;
}

/**
 * This side's half of one trunk, from the first message that uses it until it is lost: an endpoint like that of a
 * peer's connection. Until a socket is attached, messages wait in order. A lost end is not used again: the next trunk
 * has a new one.
 */
export class TrunkEnd implements DmsgSocketOwner, EndpointHandler, RouteOwner {
  /** Routes that wait until the queue has drained. */
  readonly waiting = new Set<Waiter>();

  readonly #deps: TrunkEndDependencies;
  readonly #before = new OutBuffer();
  readonly out: TrunkOutbox;
  readonly flow: Flow;
  readonly inSlices: (job: EndingJob) => void;
  readonly #endpoint: Endpoint;
  readonly #outWindows = new OutWindows();
  readonly #inWindows: InWindows;
  /** The routes on this trunk, opened by either side. */
  readonly #routes = new RouteTable();
  /** The connection to the other gateway; null: not connected yet. */
  #wire: DmsgSocket | null = null;
  #keepAlive: KeepAlive | null = null;
  #isLost = false;
  #flushedMessages = 0;
  /** How often a sender was paused because a window was used up. */
  #creditWaits = 0;
  /** When a socket was attached, milliseconds of the monotonic clock. */
  #attachedAt = 0;
  /** When a long turn last made it say that this gateway lives, milliseconds of the monotonic clock. */
  #saidAliveAt = Number.NEGATIVE_INFINITY;

  constructor(deps: TrunkEndDependencies) {
    this.#deps = deps;
    this.flow = deps.flow;
    this.out = new TrunkOutbox(this.#before, new OutWindow(FREE_WINDOW));
    const { inSlices } = deps;
    this.inSlices = (job) => inSlices(this.#guarded(job));
    this.#endpoint = makeTrunkEndpoint({ out: this.out, handler: this, inSlices: this.inSlices });
    this.#inWindows = new InWindows(deps, (credit) => {
      if (this.#endpoint.oneWay(CREDIT, 0, encodeCredit(credit))) deps.metrics.creditsSent++;
    });
  }

  /** The trunk end is lost. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Number of open transactions, route transactions included. */
  get openCount(): number {
    return this.#endpoint.openCount;
  }

  /** Bytes of memory queued for the other side. */
  get queuedBytes(): number {
    return this.#wire === null ? this.#before.heldBytes : this.#wire.queue.bytes;
  }

  /** Counts of the messages and bytes so far; null before a socket is attached. */
  get traffic(): TrafficCounts | null {
    if (this.#wire === null) return null;
    const ageMs = this.#deps.clock.now() - this.#attachedAt;
    return trafficOf(this.#endpoint, this.#wire, { pauses: this.#creditWaits, ageMs });
  }

  get isHigh(): boolean {
    if (this.#isLost) return false;
    return this.#wire === null ? this.#before.heldBytes > WAITING_LIMIT_BYTES / 2 : this.queuedBytes > QUEUE_HIGH_BYTES;
  }

  /** A new route may use the trunk. */
  get hasRoom(): boolean {
    if (this.#endpoint.openCount >= MAX_TRUNK_TRANSACTIONS) return false;
    return this.#wire !== null || this.#before.heldBytes < WAITING_LIMIT_BYTES;
  }

  /**
   * The trunk is connected: writes `greeting`, then the waiting messages; reads `rest`, the bytes that have come
   * already, then the socket.
   */
  attach(socket: Socket, rest: Uint8Array, greeting: Uint8Array | null = null): void {
    const { clock, metrics, flow, isProtected } = this.#deps;
    // Senders wait for their routes, not for the trunk as a whole.
    const destination: Destination = { isHigh: false, onceLow: (fn) => fn(), flush: () => this.flush() };
    const wire = new DmsgSocket(
      // Aux data was verified at the gateway where it came in, and is verified again by its receiver.
      { rules: TRUNK, verifiesAux: !isProtected, limitBytes: QUEUE_LIMIT_BYTES, stallMs: STALL_MS },
      { socket, cipher: null, clock, owner: this, counts: metrics, notes: { flow, destination } },
    );
    this.#wire = wire;
    this.#attachedAt = clock.now();
    const { out } = wire.queue;
    if (greeting !== null) out.pass(greeting, 0, greeting.length);
    this.out.switchTo(out);
    this.#keepAlive = new KeepAlive({
      clock,
      probe: () => this.#endpoint.oneWay(LNK_PING),
      dead: () => this.lose('silent'),
    });
    this.#keepAlive.start();
    // The socket may have closed before its listeners were added.
    if (wire.socket.destroyed) {
      this.lose('peer-closed');
      return;
    }
    release(this.waiting);
    wire.begin(rest);
    if (!this.#isLost) wire.resume();
  }

  /** The route transaction for this link, dialect, source and destination; opened if there is none. */
  route(link: LinkId, dialect: Dialect, source: RouteSource | null, destination: number): RouteTransaction {
    const known = this.#routes.find(link, dialect, source, destination);
    if (known !== undefined) return known;
    const inWindow = this.#inWindows.take(destination);
    const out = this.#outWindows.shared;
    const route = new Route({ link, dialect, source, destination }, { inWindow, out }, this);
    const named = source !== null && source.gateway === '' ? { ...source, gateway: this.#deps.self } : source;
    const payload = encodeRouteOpen({ link, dialect, source: named, window: inWindow.id });
    const tx = this.#endpoint.open<Route>(ROUTE_OPEN, null, route, payload);
    tx.data = route;
    this.#routes.add(route, tx);
    this.#deps.metrics.routes++;
    return tx;
  }

  /**
   * Ends the trunk in order: ends all routes, and sends FIN once everything queued is sent; the other side closes then.
   */
  finish(): void {
    for (const tx of this.#routes.all()) tx.data.drop(tx);
    this.inSlices(this.#finishing(this.#endpoint.settling()));
  }

  /** The trunk is lost: all transactions on it end with LOSTLINK (architecture.md, "Trunk"). */
  lose(reason: TrunkLossReason, detail: Readonly<Record<string, unknown>> = {}): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#keepAlive?.stop();
    this.#wire?.stopReading();
    this.#before.take();
    this.#wire?.cut();
    this.#deps.ended(this, reason, detail);
    this.inSlices(this.#losing(this.#endpoint.losing(ErrorCode.LOSTLINK)));
    release(this.waiting);
  }

  /** Writes the messages that were queued in this turn. */
  flush(): void {
    if (this.#isLost || this.#wire === null) return;
    this.#countSent();
    if (this.#wire.flush()) this.drained();
  }

  /**
   * This turn of the event loop is long, and may go on for seconds before it comes to this trunk: writes what is
   * queued, and says now and then that this gateway lives, or the other one might hear nothing for as long.
   */
  longTurn(): void {
    if (this.#isLost || this.#wire === null) return;
    const now = this.#deps.clock.now();
    if (now - this.#saidAliveAt >= ALIVE_MS) {
      this.#saidAliveAt = now;
      this.#endpoint.oneWay(LNK_PING | REPLY);
    }
    this.flush();
  }

  beforeRead(): boolean {
    if (this.#isLost) return false;
    this.#keepAlive?.heard();
    this.#deps.flow.begin(ALWAYS_READ);
    return true;
  }

  afterRead(): void {
    this.#deps.flow.end(ALWAYS_READ);
  }

  onFailed(thrown: unknown): void {
    const { kind, detail } = faultOf(thrown);
    this.lose(kind === 'protocol' ? 'protocol-error' : 'internal', detail);
  }

  onFin(): void {
    this.lose('peer-closed');
  }

  onBroken({ code }: NodeJS.ErrnoException): void {
    this.lose('socket-error', { code });
  }

  onClose(): void {
    this.lose('peer-closed');
  }

  onFrame(frame: Frame): void {
    if (this.#isLost) return;
    this.#deps.metrics.messagesIn++;
    const window = readU32(frame.buf, frame.off + SALT_AT) >>> 8;
    const bytes = frame.headBytes + frame.auxPadded;
    this.#endpoint.receive(frame);
    // Counted after the message was passed on, so that the connection's queue includes it.
    if (window !== FREE_WINDOW) this.#inWindows.received(window, bytes);
  }

  onOpen(tx: Transaction, frame: Frame): void {
    if (tx.circuit === null) this.#openRoute(tx, frame);
    else this.#endpoint.end(tx, ErrorCode.LOSTLINK);
  }

  onOneWay(frame: Frame, circuit: Transaction | null): void {
    if (circuit !== null) return;
    const base = frame.cmd & BASE_MASK;
    if (base === LNK_PING) {
      if ((frame.cmd & REPLY) === 0) this.#endpoint.oneWay(LNK_PING | REPLY);
    } else if (base === CREDIT) {
      const credit = decodeCredit(frame);
      if (credit === null) return;
      this.#outWindows.credited(credit.window, credit.consumed, credit.limit);
      if (!credit.isClosed) return;
      this.#outWindows.closed(credit.window);
      this.#endpoint.oneWay(WINDOW_FREED, 0, encodeWindowFreed(credit.window));
    } else if (base === WINDOW_FREED) {
      const window = decodeWindowFreed(frame);
      if (window !== null) this.#inWindows.freed(window);
    } else {
      this.#deps.metrics.ignoredMessages++;
    }
  }

  routeTaken(route: Route, window: number): void {
    const before = route.out;
    route.out = this.#outWindows.named(window);
    before.waiting.delete(route);
    route.recheck();
  }

  routeClosed(route: Route): void {
    this.#deps.metrics.routes--;
    const tx = this.#routes.remove(route);
    if (route.end === null) this.#deps.terminal.routeEnded(tx);
    else route.end.gone();
  }

  routeGone({ inWindow }: Route): void {
    this.#inWindows.leave(inWindow);
  }

  creditWaits(): void {
    this.#deps.metrics.creditWaits++;
    this.#creditWaits++;
  }

  flushLater(): void {
    this.#deps.flushLater(this);
  }

  drained(): void {
    if (this.queuedBytes < QUEUE_LOW_BYTES) release(this.waiting);
  }

  overLimit(): void {
    this.lose('queue-limit', { queued: this.queuedBytes });
  }

  stalled(): void {
    this.lose('stalled', { queued: this.queuedBytes });
  }

  #openRoute(tx: Transaction, frame: Frame): void {
    const { terminal, destinations, metrics, self } = this.#deps;
    const wanted = (frame.cmd & (BASE_MASK | DELETE)) === ROUTE_OPEN ? decodeRouteOpen(frame) : null;
    if (wanted === null) {
      metrics.ignoredMessages++;
      this.#endpoint.end(tx, ErrorCode.NOSUPP);
      return;
    }
    const { link, dialect, source } = wanted;
    const destination = destinations.connectionOfLink(link);
    const inWindow = this.#inWindows.take(destination);
    const out = this.#outWindows.named(wanted.window);
    const route = new Route({ link, dialect, source, destination }, { inWindow, out }, this);
    tx.bind<Route>(route, route);
    this.#routes.adopt(route, tx);
    metrics.routes++;
    const named = source !== null && source.gateway === self ? { ...source, gateway: '' } : source;
    // ROUTE_OPENED goes first, before anything that routing sends on the route.
    this.#endpoint.send(tx, ROUTE_OPENED, 0, encodeRouteOpened(inWindow.id));
    route.end = terminal.routeOpened(tx, link, dialect, named);
    if (route.end !== null) return;
    metrics.routesRefused++;
    this.#refuse(route, tx);
  }

  *#finishing(ends: EndingJob): EndingJob {
    yield* ends;
    if (this.#isLost) return;
    this.#countSent();
    this.#wire?.finish();
  }

  *#losing(telling: EndingJob): EndingJob {
    yield* telling;
    this.#inWindows.clear();
  }

  /** An exception in it ends this trunk only. */
  *#guarded(job: EndingJob): EndingJob {
    try {
      yield* job;
    } catch (error) {
      this.onFailed(error);
    }
  }

  /** Removes a route that routing has refused; routing is not told of its end. */
  #refuse(route: Route, tx: Transaction): void {
    this.#endpoint.end(tx, ErrorCode.LOSTLINK);
    route.isClosed = true;
    this.#deps.metrics.routes--;
    this.#routes.remove(route);
  }

  #countSent(): void {
    const { messagesOut } = this.#endpoint;
    this.#deps.metrics.messagesOut += messagesOut - this.#flushedMessages;
    this.#flushedMessages = messagesOut;
  }
}
