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
  /** Where what comes in is counted once it has gone out. */
  readonly passed: Passed;
}

/**
 * Handler of joined transactions (protocol.md, "Routing, circuit"): what comes in one goes out in its partner, which its `data` is, and
 * what is stacked on one is stacked on the partner. When one is lost the other is aborted with LOSTLINK, and nothing passes any more.
 */
export class Joined implements TransactionHandler<Transaction> {
  readonly isAwaited = true;
  /** Handler of the partners. */
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
   * Opens a transaction on `target`, and joins it to `tx`, which a peer (or another gateway) has just opened with the frame. If that
   * cannot be, or there is no target, `tx` is refused.
   */
  stack(tx: Transaction, target: Transaction | null, frame: Frame): void {
    // What we have closed our direction of takes nothing new: it has been aborted, or half closed by the one that asks.
    if (target === null || target.ended || target.txDeleted) this.refuse(tx);
    else this.#join(tx, target.endpoint, target, null, frame);
  }

  /** The same on the link that `link` is a span of, from an address to another (linkid). */
  send(tx: Transaction, link: Transaction, address: LinkAddress, frame: Frame): void {
    this.#join(tx, link.endpoint, null, address, frame);
  }

  /** Passes a one-way message on: on `target` or, linkid, on the link that it is a span of, to an address; unless that cannot be. */
  sendOneWay(frame: Frame, target: Transaction | null, address: LinkAddress | null = null): void {
    const bytes = bytesOf(frame);
    const circuit = address === null ? target : null;
    if (target === null || target.txDeleted || !target.endpoint.forwardOneWay(frame, circuit, address)) {
      this.#metrics.routedDropped++;
    } else {
      this.passed.add(bytes);
    }
  }

  /** protocol.md, "stacking": a CREATE is answered, so that its sender does not wait for ever. */
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
    this.passed.add(bytes);
    tx.bind<Transaction>(this, partner);
    partner.data = tx;
  }
}

/** Ends on the other side whatever is stacked on `circuit` here, leaves first. */
export function abortPartnersOn(circuit: Transaction): void {
  if (circuit.firstChild === null) return;
  for (const tx of circuit.endpoint.stackedOn(circuit)) tx.handler.onCircuitClosing?.(tx);
}
