import type { Metrics } from '@spanmesh/runtime/metrics';
import type { GatewayTrunks } from './trunk/gateway-trunks.ts';

/** What the gauges read of a gateway. */
export interface MeasuredGateway {
  counts(): Record<string, number>;
  readonly queuedBytes: number;
  readonly trunks: Pick<GatewayTrunks, 'counts' | 'queuedBytes'> | null;
}

/** Gauges that are looked up when they are scraped: whether something piles up. Call once a process and gateway. */
export function registerOpenMetrics(to: Metrics, gateway: MeasuredGateway): void {
  const name = (rest: string) => `spanmesh_gateway_${rest}`;
  to.gauge(name('open'), 'Entries of each table.', () => gateway.counts(), 'table');
  to.gauge(name('queued_bytes'), 'Bytes that wait for peers.', () => gateway.queuedBytes);
  const { trunks } = gateway;
  if (trunks === null) return;
  to.gauge(name('trunk_queued_bytes'), 'Bytes that wait for other gateways.', () => trunks.queuedBytes);
  to.gauge(name('trunk_transactions'), 'Transactions open on trunks, routes included.', () => {
    return trunks.counts().transactions;
  });
}
