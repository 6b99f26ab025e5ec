import { status } from '@grpc/grpc-js';
import { ABORT, DELETE, REPLY } from '@spanmesh/dmsg/command';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { RoutedMessage } from '@spanmesh/proto/v1/messaging';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import { endEach } from '../routing/abort.ts';
import type { LocalRoute, LocalRouteHandlers, LostReason } from '../routing/local-route.ts';
import type { ClientStream } from './client-stream.ts';
import { MAX_ROUTE_TRANSACTIONS } from './limits.ts';
import type { MessagingMetrics } from './messaging-metrics.ts';
import {
  lostMessage,
  MESSAGE_BYTES,
  messageFault,
  NO_TRANSACTION,
  type TransactionName,
  toRouted,
} from './routed-message.ts';

/** A transaction of a client's route, with its state as the client knows it. It is the transaction's handler. */
class ClientTransaction implements TransactionName, TransactionHandler {
  readonly number: number;
  readonly openedByNode: boolean;
  /** The transaction that it is stacked on. */
  readonly circuit: TransactionName;
  /** Whether the client has opened and closed its own direction. */
  created: boolean;
  deleted: boolean;
  /** Set once the transaction has been opened with the node. */
  tx!: Transaction;

  readonly #route: ClientRoute;

  constructor(
    route: ClientRoute,
    { number, openedByNode }: TransactionName,
    circuit: TransactionName,
    { created, deleted }: { created: boolean; deleted: boolean },
  ) {
    this.#route = route;
    this.number = number;
    this.openedByNode = openedByNode;
    this.circuit = circuit;
    this.created = created;
    this.deleted = deleted;
  }

  onMessage(_tx: Transaction, frame: Frame): void {
    this.#route.heard(this, frame);
  }

  onLost(tx: Transaction, error: number): void {
    this.#route.lost(this, tx, error);
  }

  onGone(): void {
    this.#route.gone(this);
  }
}

export interface ClientRouteDependencies {
  readonly stream: ClientStream;
  readonly metrics: MessagingMetrics;
  /** Whose call it is. */
  readonly principal: string;
  /** The route is lost: the caller ends the stream. */
  readonly onLost: (reason: LostReason) => void;
  /** The client has closed its side of the stream, and all its transactions are over. */
  readonly onDone: () => void;
  /** Transactions of the node are numbered from the number after this one; 0 unless given. */
  readonly lastNodeNumber?: number;
}

/**
 * Translates between a client's messages and the transactions of its route. It checks the client's messages, so that
 * none of them can be a protocol error towards the node. Messages for a transaction that is gone are thrown away: they
 * have crossed its end.
 */
export class ClientRoute implements LocalRouteHandlers {
  readonly pressure: ClientStream;
  readonly principal: string;
  readonly #rules: DialectRules;
  readonly #deps: ClientRouteDependencies;
  readonly #own = new Map<number, ClientTransaction>();
  readonly #nodes = new Map<number, ClientTransaction>();
  #lastNodeNumber: number;
  /** Null until `attach`. */
  #route: LocalRoute | null = null;
  #halfClosed = false;
  #closed = false;

  constructor(rules: DialectRules, deps: ClientRouteDependencies) {
    this.#rules = rules;
    this.#deps = deps;
    this.pressure = deps.stream;
    this.principal = deps.principal;
    this.#lastNodeNumber = deps.lastNodeNumber ?? 0;
  }

  /** Gives it the open route. Must be called before anything else. */
  attach(route: LocalRoute): void {
    this.#route = route;
  }

  /** Number of open transactions. */
  get open(): number {
    return this.#own.size + this.#nodes.size;
  }

  /** Handles a message of the client. @throws ApiError: the caller ends the stream with it. */
  take(message: RoutedMessage): void {
    const route = this.#route;
    if (route === null || this.#closed) return;
    const fault = messageFault(message, this.#rules);
    if (fault !== null) throw invalid(fault);
    this.#deps.metrics.messagesFromClients++;
    if (message.transaction === 0) this.#oneWay(route, message);
    else this.#inTransaction(route, message);
  }

  /**
   * The client has closed its side of the stream: transactions that it has not closed are aborted, in slices; answers
   * to the others may still come.
   */
  halfClose(): void {
    this.#halfClosed = true;
    this.#route?.inSlices(this.#abortAll());
  }

  /** The client is gone, or the stream has ended: open transactions are aborted towards the node. */
  close(): void {
    this.#closed = true;
    this.#own.clear();
    this.#nodes.clear();
    this.#route?.close();
  }

  onOpen(route: LocalRoute, tx: Transaction, frame: Frame): void {
    const isOver = this.#closed || this.#halfClosed;
    if (isOver || this.open >= MAX_ROUTE_TRANSACTIONS) {
      tx.endpoint.end(tx, isOver ? ErrorCode.LOSTLINK : ErrorCode.CANTCIRC);
      return;
    }
    const number = this.#nextNodeNumber();
    const name = { number, openedByNode: true };
    const one = new ClientTransaction(this, name, nameOf(tx.circuit), { created: false, deleted: false });
    one.tx = tx;
    this.#nodes.set(number, one);
    route.accept(tx, one);
    this.#toClient(frame, one, one.circuit);
  }

  onOneWay(_route: LocalRoute, frame: Frame, circuit: Transaction | null): void {
    if (!this.#closed) this.#toClient(frame, NO_TRANSACTION, nameOf(circuit));
  }

  onLost(_route: LocalRoute, reason: LostReason): void {
    if (!this.#closed) this.#deps.onLost(reason);
  }

  /** @internal A message of the node in a transaction. */
  heard(one: ClientTransaction, frame: Frame): void {
    this.#toClient(frame, one, one.circuit);
  }

  /** @internal The node's direction has ended without a message of the node. */
  lost(one: ClientTransaction, tx: Transaction, error: number): void {
    const routed = lostMessage(one, one.circuit, { create: !tx.rxCreated, error });
    this.pressure.write({ routed }, MESSAGE_BYTES);
  }

  /** @internal The transaction is over in both directions. */
  gone(one: ClientTransaction): void {
    (one.openedByNode ? this.#nodes : this.#own).delete(one.number);
    this.#checkDone();
  }

  #inTransaction(route: LocalRoute, message: RoutedMessage): void {
    const { transaction: number, openedByNode, create } = message;
    const one = (openedByNode ? this.#nodes : this.#own).get(number);
    if (one === undefined) {
      if (create && !openedByNode) this.#open(route, message);
      else this.#deps.metrics.messagesLate++;
      return;
    }
    // protocol.md, "Transactions": each direction is opened once, closed once, and silent afterwards.
    if (one.deleted) throw invalid(`Transaction ${number}: you have closed your direction of it.`);
    if (create === one.created) {
      throw invalid(
        create
          ? `Transaction ${number} is open already: choose a number that is not in use.`
          : `Transaction ${number}: your first message opens your direction of it, set create.`,
      );
    }
    one.created = true;
    one.deleted = message.delete;
    route.send(one.tx, wordOf(message), message.error, message.payload, message.aux);
  }

  #open(route: LocalRoute, message: RoutedMessage): void {
    const { transaction: number } = message;
    if (message.abort) throw invalid(`Transaction ${number}: what is not open cannot be aborted.`);
    if (this.open >= MAX_ROUTE_TRANSACTIONS) {
      throw new ApiError(
        status.RESOURCE_EXHAUSTED,
        `A route carries at most ${MAX_ROUTE_TRANSACTIONS} transactions at a time: close some, or open another route.`,
      );
    }
    const circuit = this.#circuit(message);
    if (circuit === undefined) {
      this.#refuse(message);
      return;
    }
    const said = { created: true, deleted: message.delete };
    const one = new ClientTransaction(this, { number, openedByNode: false }, nameOf(circuit), said);
    try {
      one.tx = route.open(wordOf(message), circuit, one, message.payload, message.aux, message.error);
      this.#own.set(number, one);
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      if (error.code === ErrorCode.CANTCIRC) throw invalid(`Transaction ${number} is stacked too deep.`);
      this.#refuse(message);
    }
  }

  /** protocol.md, "stacking": a CREATE on a circuit that is gone is answered LOSTLINK. */
  #refuse(message: RoutedMessage): void {
    const name = { number: message.transaction, openedByNode: false };
    const circuit = { number: message.circuit, openedByNode: message.circuitOpenedByNode };
    const routed = lostMessage(name, circuit, { create: true, error: ErrorCode.LOSTLINK });
    this.pressure.write({ routed }, MESSAGE_BYTES);
  }

  #oneWay(route: LocalRoute, message: RoutedMessage): void {
    const circuit = this.#circuit(message);
    const word = message.command | (message.reply ? REPLY : 0);
    if (circuit === undefined || !route.oneWay(word, circuit, message.payload, message.aux, message.error)) {
      this.#deps.metrics.messagesLate++;
    }
  }

  /** The transaction that a message is stacked on. null: the span itself; undefined: a transaction that is gone. */
  #circuit({ circuit, circuitOpenedByNode }: RoutedMessage): Transaction | null | undefined {
    if (circuit === 0) return null;
    const tx = (circuitOpenedByNode ? this.#nodes : this.#own).get(circuit)?.tx;
    return tx === undefined || tx.ended ? undefined : tx;
  }

  #toClient(frame: Frame, transaction: TransactionName, circuit: TransactionName): void {
    this.#deps.metrics.messagesToClients++;
    const routed = toRouted(frame, transaction, circuit);
    this.pressure.write({ routed }, MESSAGE_BYTES + routed.payload.length + routed.aux.length);
  }

  *#abortAll(): EndingJob {
    // No more come, as it is half-closed. Nothing happens to those that the client has closed.
    const all = [...this.#own.values(), ...this.#nodes.values()].values();
    yield* endEach(() => {
      const { value, done } = all.next();
      if (done === true || this.#closed) return false;
      this.#abort(value);
      return true;
    });
    this.#checkDone();
  }

  #abort(one: ClientTransaction): void {
    one.created = true;
    one.deleted = true;
    one.tx.endpoint.end(one.tx, ErrorCode.LOSTLINK, true);
  }

  #checkDone(): void {
    if (this.#halfClosed && !this.#closed && this.open === 0) this.#deps.onDone();
  }

  #nextNodeNumber(): number {
    do this.#lastNodeNumber = this.#lastNodeNumber === 0xffffffff ? 1 : this.#lastNodeNumber + 1;
    while (this.#nodes.has(this.#lastNodeNumber));
    return this.#lastNodeNumber;
  }
}

function wordOf(message: RoutedMessage): number {
  return message.command | (message.delete ? DELETE : 0) | (message.abort ? ABORT : 0);
}

/**
 * The client's name for the circuit of a message. A circuit that is no ClientTransaction is the span itself or the
 * route transaction, whose `data` belongs to peers/ or trunk/. Called when a transaction begins, and for one-way
 * messages.
 */
function nameOf(tx: Transaction | null): TransactionName {
  return tx?.data instanceof ClientTransaction ? tx.data : NO_TRANSACTION;
}
