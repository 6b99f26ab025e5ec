import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { bytesOf, type Passed, type RouteClass } from './route-class.ts';
import type { RoutedSample } from './routed-sample.ts';

/**
 * Handler of joined transactions (protocol.md, "Routing, circuit"): what comes in one goes out in the other, which its `data` is.
 * When one is lost the other is aborted with LOSTLINK, and nothing passes any more.
 */
export class Joined implements TransactionHandler {
  readonly routes: RouteClass;
  /** Where what comes in is counted once it has gone out. */
  readonly passed: Passed;
  /** Called before a message goes out in a transaction: to note where the connection that is being read sends. */
  readonly #sending: ((to: Transaction) => void) | null;
  readonly #sample: RoutedSample;

  constructor(
    sample: RoutedSample,
    { routes, passed }: Pick<Joined, 'routes' | 'passed'>,
    sending: ((to: Transaction) => void) | null = null,
  ) {
    this.routes = routes;
    this.passed = passed;
    this.#sample = sample;
    this.#sending = sending;
  }

  /** A message is about to go out in `to`, or has. */
  note(to: Transaction): void {
    if (this.#sending !== null) this.#sending(to);
  }

  onMessage(tx: Transaction, frame: Frame): void {
    const other = tx.data as Transaction;
    if (this.#sending !== null) this.#sending(other);
    const bytes = bytesOf(frame);
    if (other.endpoint.forward(other, frame)) this.passed.add(bytes);
  }

  onGone(tx: Transaction): void {
    this.routes.halfGone();
    this.#sample.ended(tx);
  }

  onLost(tx: Transaction): void {
    this.#sample.lost(tx);
    abort(tx.data as Transaction);
  }
}

/** Ends our direction, if it is open, because the route is gone (protocol.md, "Routing, circuit"). */
export function abort(tx: Transaction): void {
  tx.endpoint.end(tx, ErrorCode.LOSTLINK, true);
}

/** Aborts what is joined to anything that is stacked on `circuit`, leaves first. */
export function abortPartnersOn(circuit: Transaction): void {
  if (circuit.firstChild === null) return;
  for (const tx of circuit.endpoint.stackedOn(circuit)) {
    if (tx.handler instanceof Joined) abort(tx.data as Transaction);
  }
}
