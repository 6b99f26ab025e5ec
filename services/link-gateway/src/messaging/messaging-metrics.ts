import type { Metrics } from '@spanmesh/runtime/metrics';

/** The counters of Messaging: plain numbers, read when they are scraped. */
export class MessagingMetrics {
  routes = 0;
  routesOpened = 0;
  /** Routes whose stream ended because the route to the node was lost. */
  routesLost = 0;
  messagesFromClients = 0;
  messagesToClients = 0;
  /** Messages of clients for transactions that were gone. */
  messagesLate = 0;
}

/** Numbers of open things, read when they are scraped. */
export interface MessagingGauges {
  readonly handles: number;
  readonly heldClusters: number;
  readonly waiting: number;
}

/** Registers the numbers of Messaging as metrics. */
export function registerMessagingMetrics(to: Metrics, m: MessagingMetrics, gauges: MessagingGauges): void {
  const name = (rest: string) => `spanmesh_messaging_${rest}`;
  to.gauge(name('handles'), 'Handles on clusters that clients have.', () => gauges.handles);
  to.gauge(name('held_clusters'), 'Clusters that clients hold.', () => gauges.heldClusters);
  to.gauge(name('waiting'), 'Calls that wait for a node or a cluster.', () => gauges.waiting);
  to.gauge(name('routes'), 'Routes that clients have open.', () => m.routes);
  to.counter(name('routes_opened_total'), 'Routes that were opened.', () => m.routesOpened);
  to.counter(name('routes_lost_total'), 'Routes that ended because the way was lost.', () => m.routesLost);
  to.counter(name('messages_from_clients_total'), 'Messages of clients.', () => m.messagesFromClients);
  to.counter(name('messages_to_clients_total'), 'Messages of nodes for clients.', () => m.messagesToClients);
  to.counter(
    name('messages_late_total'),
    'Messages of clients for what was gone already, thrown away.',
    () => m.messagesLate,
  );
}
