import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayMetrics } from '../metrics.ts';
import { abort, Joined } from './joined.ts';
import { bytesOf, type RouteClasses } from './route-class.ts';
import { RoutedSample, SAMPLED_TRANSACTIONS } from './routed-sample.ts';
import type { TrunkRoutes } from './trunk-routes.ts';

/** Joins transactions. Which handler one has says whether its partner is on a trunk. */
export class Joins {
  /** Of those whose messages come from a connection of this gateway, and go out on one. */
  readonly toPeer: Joined;
  /** Of those whose messages come from a trunk, and go out on a connection. */
  readonly fromTrunk: Joined;
  /** Of those whose messages go out on a trunk: it is noted for back-pressure. */
  readonly toTrunk: Joined;
  readonly #metrics: GatewayMetrics;

  readonly #sample: RoutedSample;

  constructor({
    metrics,
    trunkRoutes,
    clock,
    classes: { local, trunk },
  }: {
    metrics: GatewayMetrics;
    trunkRoutes: TrunkRoutes;
    classes: RouteClasses;
    clock: Pick<Clock, 'now'>;
  }) {
    this.#metrics = metrics;
    this.#sample = new RoutedSample({ clock, seconds: metrics.routed });
    this.toPeer = new Joined(this.#sample, { routes: local, passed: local.out });
    this.fromTrunk = new Joined(this.#sample, { routes: trunk, passed: trunk.in });
    this.toTrunk = new Joined(this.#sample, { routes: trunk, passed: trunk.out }, (to) => trunkRoutes.sentOn(to));
  }

  /**
   * Opens a transaction on `target`, and joins it to `tx`, which a peer (or another gateway) has just opened with the frame. If that
   * cannot be, `tx` is refused.
   */
  stack(tx: Transaction, target: Transaction, frame: Frame, ofTx: Joined, ofPartner: Joined): void {
    // What we have closed our direction of takes nothing new: it has been aborted, or half closed by the one that asks.
    if (target.ended || target.txDeleted) this.refuse(tx);
    else this.#join(tx, target, target, null, frame, ofTx, ofPartner);
  }

  /** The same on the link that `link` is a span of, from an address to another (linkid). */
  send(tx: Transaction, link: Transaction, address: LinkAddress, frame: Frame, ofTx: Joined, ofPartner: Joined): void {
    this.#join(tx, link, null, address, frame, ofTx, ofPartner);
  }

  /** One that stacks on a transaction which is joined already. */
  stackOnJoined(tx: Transaction, circuit: Transaction, frame: Frame): void {
    const partner = circuit.data as Transaction;
    const ofTx = circuit.handler as Joined;
    if (ofTx === this.toTrunk) ofTx.note(partner);
    this.stack(tx, partner, frame, ofTx, partner.handler as Joined);
  }

  /** protocol.md, "stacking": a CREATE is answered, so that its sender does not wait for ever. */
  refuse(tx: Transaction): void {
    this.#metrics.routedDropped++;
    abort(tx);
  }

  #join(
    tx: Transaction,
    { endpoint }: Transaction,
    circuit: Transaction | null,
    address: LinkAddress | null,
    frame: Frame,
    ofTx: Joined,
    ofPartner: Joined,
  ): void {
    const bytes = bytesOf(frame);
    let partner: Transaction;
    try {
      partner = endpoint.openForwarded(circuit, ofPartner, frame, address);
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      this.#metrics.routedDropped++;
      tx.endpoint.end(tx, error.code, true);
      return;
    }
    if (this.#metrics.routedTransactions++ % SAMPLED_TRANSACTIONS === 0) this.#sample.begun(tx);
    ofTx.routes.opened();
    ofTx.passed.add(bytes);
    tx.handler = ofTx;
    tx.data = partner;
    partner.data = tx;
  }
}
