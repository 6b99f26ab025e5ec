import type { Metrics } from '@spanmesh/runtime/metrics';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayTrunks } from './trunk/gateway-trunks.ts';

/** The part of a gateway that the gauges read. */
export interface MeasuredGateway {
  tables(): TableSizes;
  readonly queuedBytes: number;
  readonly trunks: Pick<GatewayTrunks, 'counts' | 'queuedBytes'> | null;
}

/**
 * Registers gauges of table sizes and queued bytes, read when they are scraped: they show whether something piles up.
 * Call it once for a process and gateway.
 */
export function registerOpenMetrics(to: Metrics, gateway: MeasuredGateway): void {
  const name = (rest: string) => `spanmesh_gateway_${rest}`;
  to.gauge(name('open'), 'Entries of each table.', () => gateway.tables(), 'table');
  to.gauge(name('queued_bytes'), 'Bytes that wait for peers.', () => gateway.queuedBytes);
  const { trunks } = gateway;
  if (trunks === null) return;
  to.gauge(name('trunk_queued_bytes'), 'Bytes that wait for other gateways.', () => trunks.queuedBytes);
  to.gauge(name('trunk_transactions'), 'Transactions open on trunks, routes included.', () => {
    return trunks.counts().transactions;
  });
}
