import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Connection } from './connection.ts';
import type { GatewayMetrics } from './metrics.ts';

/**
 * Messages that are for another peer: the one place where the data plane will take over. Until then nothing is passed on, and
 * the sender is told where the protocol lets it be told.
 */
export interface Routing {
  /** circuit: the peer opens a transaction on a relay of ours, or on one that is stacked on a relay. */
  openOnRelay(connection: Connection, tx: Transaction, frame: Frame): void;
  /** circuit: a one-way message on a relay of ours. */
  oneWayOnRelay(connection: Connection, circuit: Transaction, frame: Frame): void;
  /** linkid: a message with a source or a target. */
  linkid(connection: Connection, frame: Frame): void;
}

/** Refuses what it can and throws the rest away, counted. */
export class NoRouting implements Routing {
  readonly #metrics: GatewayMetrics;

  constructor(metrics: GatewayMetrics) {
    this.#metrics = metrics;
  }

  openOnRelay(_connection: Connection, tx: Transaction): void {
    this.#metrics.routedDropped++;
    tx.endpoint.end(tx, ErrorCode.NOSUPP);
  }

  oneWayOnRelay(): void {
    this.#metrics.routedDropped++;
  }

  /** protocol.md, "Routing, linkid": a message whose route is not there is thrown away and counted. */
  linkid(): void {
    this.#metrics.routedDropped++;
  }
}
