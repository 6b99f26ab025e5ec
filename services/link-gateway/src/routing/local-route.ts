import { SIZE_MASK } from '@spanmesh/dmsg/command';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES, padded } from '@spanmesh/dmsg/header';
import {
  DISCARD,
  type EndingJob,
  type LinkAddress,
  type Transaction,
  type TransactionEndpoint,
  type TransactionHandler,
} from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { type Pressure, RESTING } from '@spanmesh/dmsg-socket/stream/pressure';
import type { GatewayMetrics } from '../metrics.ts';
import { isLinkLayer, refusesLinkLayer } from '../peers/link-layer.ts';
import type { LinkUser } from '../peers/peer.ts';
import { abort, endEach } from './abort.ts';
import type { LinkReads } from './reads/link-reads.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import { bytesOf, type RouteClass } from './route-class.ts';
import type { RouteUser } from './trunk-routes.ts';

/** Why a route of a client has ended. */
export type LostReason = 'link' | 'trunk' | 'return-path';

/**
 * A client in this process (gRPC Messaging). Its methods are called for the transactions and messages that the node
 * begins, and for the route's end.
 */
export interface LocalRouteHandlers {
  /**
   * The node opens a transaction; `tx.circuit` is the transaction that it is stacked on (circuit), otherwise null.
   * Accept it with `route.accept`, or refuse it with `tx.endpoint.end(tx, error)`. As in EndpointHandler.onOpen,
   * `frame` is its first message.
   */
  onOpen(route: LocalRoute, tx: Transaction, frame: Frame): void;
  /**
   * The node sends a one-way message: on a transaction of the route (circuit), or to this gateway's own span (linkid).
   */
  onOneWay(route: LocalRoute, frame: Frame, circuit: Transaction | null): void;
  /**
   * The route is gone. Called once, after `onLost` of each of its transactions; nothing can be sent any more. Not
   * called after `close`.
   */
  onLost(route: LocalRoute, reason: LostReason): void;
  /** Whose route it is: what ends does so in turns with that of others. Left out: that of the gateway itself. */
  readonly principal?: string;
  /**
   * Pressure of the queue of messages to the client: while it is high, the connections that send to it are not read.
   */
  readonly pressure?: Pressure;
}

/** How a client's route reaches its link. */
export interface LocalWay {
  readonly endpoint: TransactionEndpoint;
  /**
   * The transaction that the route's transactions are stacked on: the link (circuit), or the route transaction on a
   * trunk (both dialects). null: linkid, a link of this gateway.
   */
  readonly circuit: Transaction | null;
  /** linkid, a link of this gateway: source and target of the messages. Otherwise null. */
  readonly address: LinkAddress | null;
  readonly pressure: Pressure;
  /**
   * Called for each message that the route sends, because writes affect consolidated reads; null: the link's reads are
   * not consolidated.
   */
  readonly blocks: Pick<LinkReads, 'opened' | 'said' | 'saidOneWay' | 'gone'> | null;
}

export interface LocalRouteDependencies {
  readonly flow: Flow;
  readonly metrics: Pick<GatewayMetrics, 'routedDropped'>;
  /** Counts the messages on the route. */
  readonly routes: RouteClass;
  /** Called once, when the route is closed: nothing that the node begins finds it any more. */
  readonly closed: () => void;
  /** Called once, after `closed`, when our directions of all its transactions have ended. */
  readonly ended: () => void;
  /** Runs the job: some of it at once, the rest in later turns of the event loop. */
  readonly inSlices: (job: EndingJob) => void;
}

/**
 * A route from a client in this process to a link of this gateway or of another one. It is the handler of its
 * transactions; `data` of a transaction is the client's own handler.
 */
export class LocalRoute implements TransactionHandler<TransactionHandler>, LinkUser, RouteUser, ReturnPathUser {
  readonly #way: LocalWay;
  readonly #flow: Flow;
  readonly #handlers: LocalRouteHandlers;
  readonly #metrics: Pick<GatewayMetrics, 'routedDropped'>;
  readonly #transactions = new Set<Transaction<TransactionHandler>>();
  readonly #routes: RouteClass;
  readonly #deps: Pick<LocalRouteDependencies, 'closed' | 'ended' | 'inSlices'>;
  #isOpen = true;
  /** It has closed, and our directions of these are still to end, the last one first. */
  #ending: Transaction<TransactionHandler>[] = [];
  #isOver = false;
  /** Why it has closed; null: the client has closed it, and is told nothing any more. */
  #reason: LostReason | null = null;

  constructor(handlers: LocalRouteHandlers, way: LocalWay, deps: LocalRouteDependencies) {
    this.#routes = deps.routes;
    this.#handlers = handlers;
    this.#way = way;
    this.#flow = deps.flow;
    this.#metrics = deps.metrics;
    this.#deps = deps;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Number of transactions that are not over in both directions. */
  get openCount(): number {
    return this.#transactions.size;
  }

  /** Pressure of the queue that the route's messages wait in: the client must send no more while it is high. */
  get pressure(): Pressure {
    return this.#isOpen ? this.#way.pressure : RESTING;
  }

  /**
   * Opens a transaction with the node, or (circuit) on a transaction of this route. `cmd`: the command, with DELETE if
   * this is the only message. Further messages go by `send`; `tx.endpoint.end` ends it. `handler.onLost` is called if
   * the route is lost first.
   * @throws DmsgError LOSTLINK: the route or the circuit is gone; CANTCIRC; FIELD: message out of bounds.
   */
  open(
    cmd: number,
    circuit: Transaction | null,
    handler: TransactionHandler,
    payload: Uint8Array | null = null,
    aux: Uint8Array | null = null,
    error = 0,
  ): Transaction {
    if (!this.#isOpen) throw new DmsgError(ErrorCode.LOSTLINK, 'the route is closed');
    const { endpoint, address } = this.#way;
    const on = circuit ?? this.#way.circuit;
    const tx = endpoint.open<TransactionHandler>(cmd, on, this, payload, error, aux, address);
    this.#way.blocks?.opened(tx, cmd, error, payload, aux?.length ?? 0);
    this.#noteSent(cmd, aux);
    tx.data = handler;
    this.#take(tx);
    return tx;
  }

  /** Sends a message in a transaction of this route. False: our direction of it is closed. @throws DmsgError FIELD */
  send(tx: Transaction, cmd: number, error: number, payload: Uint8Array | null, aux: Uint8Array | null): boolean {
    this.#way.blocks?.said(tx, cmd);
    const sent = tx.endpoint.send(tx, cmd, error, payload, aux);
    if (sent) this.#noteSent(cmd, aux);
    return sent;
  }

  /** Accepts a transaction that the node has opened. */
  accept(tx: Transaction, handler: TransactionHandler): void {
    tx.bind<TransactionHandler>(this, handler);
    this.#take(tx);
  }

  /**
   * Sends a one-way message to the node, or (circuit) on a transaction of this route. False: it is gone. @throws
   * DmsgError FIELD
   */
  oneWay(
    cmd: number,
    circuit: Transaction | null = null,
    payload: Uint8Array | null = null,
    aux: Uint8Array | null = null,
    error = 0,
  ): boolean {
    if (!this.#isOpen) return false;
    const { endpoint, address, blocks } = this.#way;
    blocks?.saidOneWay(cmd);
    const sent = endpoint.oneWay(cmd, error, payload, aux, circuit ?? this.#way.circuit, address);
    if (sent) this.#noteSent(cmd, aux);
    return sent;
  }

  /**
   * The client closes the route: open transactions are aborted, in slices, and its handlers are not called any more.
   */
  close(): void {
    this.#reason = null;
    this.#run(this.#closing());
  }

  /** Runs a job of the client that ends many of its transactions: some at once, the rest in later turns. */
  inSlices(job: EndingJob): void {
    this.#deps.inSlices(job);
  }

  /** linkid: the node opens a transaction towards this gateway's own span. */
  opened(tx: Transaction, frame: Frame): void {
    if (!this.#isOpen) {
      abort(tx);
      return;
    }
    this.#noteDelivery(frame);
    this.#handlers.onOpen(this, tx, frame);
  }

  /** The node sends a one-way message over the route. */
  heard(frame: Frame, circuit: Transaction | null): void {
    if (!this.#isOpen) {
      this.#metrics.routedDropped++;
      return;
    }
    this.#noteDelivery(frame);
    this.#handlers.onOneWay(this, frame, circuit);
  }

  onMessage(tx: Transaction<TransactionHandler>, frame: Frame): void {
    this.#noteDelivery(frame);
    if (!this.#isDeaf) tx.data.onMessage(tx, frame);
  }

  onStacked(_circuit: Transaction, tx: Transaction, frame: Frame): void {
    if (!refusesLinkLayer(tx, frame, this.#metrics)) this.opened(tx, frame);
  }

  onOneWay(circuit: Transaction, frame: Frame): void {
    if (isLinkLayer(frame)) this.#metrics.routedDropped++;
    else this.heard(frame, circuit);
  }

  onLost(tx: Transaction<TransactionHandler>, error: number): void {
    if (!this.#isDeaf) tx.data.onLost(tx, error);
  }

  onGone(tx: Transaction<TransactionHandler>): void {
    tx.endpoint.awaited--;
    this.#routes.halfGone();
    this.#way.blocks?.gone(tx);
    this.#transactions.delete(tx);
    if (!this.#isDeaf) tx.data.onGone?.(tx);
  }

  linkClosing(): void {
    this.#run(this.#losing('link'));
  }

  routeGone(): void {
    this.#run(this.#losing('trunk'));
  }

  returnPathClosing(): EndingJob | null {
    return this.#losing('return-path');
  }

  /** The client has closed it: its handlers are not called any more. */
  get #isDeaf(): boolean {
    return !this.#isOpen && this.#reason === null;
  }

  #take(tx: Transaction<TransactionHandler>): void {
    this.#routes.opened();
    tx.endpoint.awaited++;
    this.#transactions.add(tx);
  }

  #noteSent(cmd: number, aux: Uint8Array | null): void {
    this.#routes.out.add((cmd & SIZE_MASK) * CORE_HEADER_BYTES + padded(aux?.length ?? 0));
  }

  #noteDelivery(frame: Frame): void {
    this.#routes.in.add(bytesOf(frame));
    const { pressure } = this.#handlers;
    if (pressure !== undefined) this.#flow.sentInto(pressure);
  }

  #losing(reason: LostReason): EndingJob | null {
    if (this.#isOpen) this.#reason = reason;
    return this.#closing();
  }

  /** Closes it, if it is open. What is left to be done for that; null: nothing. */
  #closing(): EndingJob | null {
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#ending = [...this.#transactions];
      this.#deps.closed();
    }
    if (this.#ending.length > 0) return this.#endAll();
    this.#end();
    return null;
  }

  #run(rest: EndingJob | null): void {
    if (rest !== null) this.#deps.inSlices(rest);
  }

  /** Several of these may be under way, each for one who waits for it: they go on with the same transactions. */
  *#endAll(): EndingJob {
    yield* endEach(() => {
      // A transaction is opened after the one it is stacked on, so the reverse order has leaves first.
      const tx = this.#ending.pop();
      if (tx !== undefined) this.#endOne(tx);
      return tx !== undefined;
    });
    this.#end();
  }

  #endOne(tx: Transaction<TransactionHandler>): void {
    // It may be over meanwhile.
    if (!this.#transactions.has(tx)) return;
    const handler = tx.data;
    const isTold = !this.#isDeaf;
    tx.data = DISCARD;
    abort(tx);
    if (!isTold) return;
    // A transaction gets one final notification: the peer's DELETE, or else this.
    if (!tx.rxDeleted) handler.onLost(tx, ErrorCode.LOSTLINK);
    handler.onGone?.(tx);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deps.ended();
    if (this.#reason !== null) this.#handlers.onLost(this, this.#reason);
  }
}
