import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionEndpoint, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { GatewayMetrics } from '../metrics.ts';
import { isLinkLayer, refusesLinkLayer } from '../peers/link-layer.ts';
import { abort } from './abort.ts';
import { bytesOf, type Passed, type RouteClass } from './route-class.ts';
import { type RoutedSample, SAMPLED_TRANSACTIONS } from './routed-sample.ts';

export interface JoinedDependencies {
  readonly metrics: GatewayMetrics;
  readonly sample: RoutedSample;
  readonly routes: RouteClass;
  /** Counts the messages that come in on transactions of this handler, once they have been passed on. */
  readonly passed: Passed;
}

/**
 * Handler of joined transactions (protocol.md, "Routing, circuit"). `data` of a transaction is its partner. Messages
 * that come in one are passed on in its partner; a transaction stacked on one is joined to a new one on the partner.
 * When one is lost its partner is aborted with LOSTLINK, and nothing passes any more.
 */
export class Joined implements TransactionHandler<Transaction> {
  /** Handler of the partner transactions. */
  other: Joined = this;
  readonly #metrics: GatewayMetrics;
  readonly #sample: RoutedSample;
  readonly routes: RouteClass;
  readonly passed: Passed;

  constructor({ metrics, sample, routes, passed }: JoinedDependencies) {
    this.#metrics = metrics;
    this.#sample = sample;
    this.routes = routes;
    this.passed = passed;
  }

  /**
   * Opens a transaction on `target` and joins it to `tx`, which a peer or another gateway has just opened with `frame`.
   * If that is impossible, or `target` is null, `tx` is refused.
   */
  stack(tx: Transaction, target: Transaction | null, frame: Frame): void {
    // Nothing new is opened on a circuit whose direction we have closed: it was aborted, or half closed by its sender.
    if (target === null || target.ended || target.txDeleted) this.refuse(tx);
    else this.#join(tx, target.endpoint, target, null, frame);
  }

  /**
   * linkid: like `stack`, but opens the transaction on the connection of `link` (a LNK_SPAN transaction), with
   * `address` as source and target.
   */
  send(tx: Transaction, link: Transaction, address: LinkAddress, frame: Frame): void {
    this.#join(tx, link.endpoint, null, address, frame);
  }

  /**
   * Passes a one-way message on: on `target` (circuit), or on the connection of `target` with `address` as source and
   * target (linkid). It is dropped and counted if that is impossible.
   */
  sendOneWay(frame: Frame, target: Transaction | null, address: LinkAddress | null = null): void {
    const bytes = bytesOf(frame);
    const circuit = address === null ? target : null;
    if (target === null || target.txDeleted || !target.endpoint.forwardOneWay(frame, circuit, address)) {
      this.#metrics.routedDropped++;
    } else {
      this.passed.add(bytes);
    }
  }

  /** Refuses a transaction with an ABORT, so that its sender does not wait for ever (protocol.md, "stacking"). */
  refuse(tx: Transaction): void {
    this.#metrics.routedDropped++;
    abort(tx);
  }

  onMessage(tx: Transaction<Transaction>, frame: Frame): void {
    const partner = tx.data;
    const bytes = bytesOf(frame);
    if (partner.endpoint.forward(partner, frame)) this.passed.add(bytes);
  }

  onStacked(circuit: Transaction<Transaction>, tx: Transaction, frame: Frame): void {
    if (!refusesLinkLayer(tx, frame, this.#metrics)) this.stack(tx, circuit.data, frame);
  }

  onOneWay(circuit: Transaction<Transaction>, frame: Frame): void {
    this.sendOneWay(frame, isLinkLayer(frame) ? null : circuit.data);
  }

  onLost(tx: Transaction<Transaction>): void {
    this.#sample.lost(tx);
    abort(tx.data);
  }

  onGone(tx: Transaction<Transaction>): void {
    tx.endpoint.awaited--;
    this.routes.halfGone();
    this.#sample.ended(tx);
  }

  onCircuitClosing({ data }: Transaction<Transaction>): void {
    abort(data);
  }

  #join(
    tx: Transaction,
    endpoint: TransactionEndpoint,
    circuit: Transaction | null,
    address: LinkAddress | null,
    frame: Frame,
  ): void {
    const bytes = bytesOf(frame);
    let partner: Transaction<Transaction>;
    try {
      partner = endpoint.openForwarded(circuit, this.other, frame, address);
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      this.#metrics.routedDropped++;
      tx.endpoint.end(tx, error.code, true);
      return;
    }
    if (this.#metrics.routedTransactions++ % SAMPLED_TRANSACTIONS === 0) this.#sample.begun(tx);
    this.routes.opened();
    tx.endpoint.awaited++;
    endpoint.awaited++;
    this.passed.add(bytes);
    tx.bind<Transaction>(this, partner);
    partner.data = tx;
  }
}
