import type { GrpcTraffic } from '@spanmesh/runtime/grpc-traffic';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Api } from './api.ts';
import type { Commander } from './commander.ts';
import type { Directory } from './directory/directory.ts';
import type { GatewayControl } from './gateway-control.ts';
import type { History } from './history.ts';
import type { Leadership } from './leadership.ts';
import type { State } from './state.ts';

export interface Measured {
  readonly state: State;
  readonly control: GatewayControl;
  readonly commander: Commander;
  readonly history: History;
  readonly leadership: Leadership;
  readonly api: Api;
  readonly directory: Directory;
  /** Peers' messages that made no sense. */
  readonly nonsense: number;
}

/** What topology measures; everything is read from plain fields when it is scraped. */
export function registerMetrics(metrics: Metrics, measured: Measured): void {
  const { state, control, commander, history, leadership, api, directory } = measured;
  const { tree } = state;
  metrics.gauge('spanmesh_topology_leading', '1 if this replica leads.', () => (leadership.valid ? 1 : 0));
  metrics.gauge('spanmesh_topology_epoch', 'Epoch that this replica leads or led under.', () => leadership.epoch);
  metrics.gauge('spanmesh_topology_gateways', 'Gateways whose objects are in the tree.', () => state.gateways.size);
  metrics.gauge(
    'spanmesh_topology_gateways_live',
    'Gateways whose stream stands and whose snapshot is in.',
    () => control.live,
  );
  metrics.counter(
    'spanmesh_topology_attaches_total',
    'Streams of gateways that were accepted.',
    () => control.attached,
  );
  metrics.gauge('spanmesh_topology_connections', 'Connections.', () => tree.counts.connections);
  metrics.gauge('spanmesh_topology_lnk_conns', 'LNK_CONNs.', () => tree.counts.lnkConns);
  metrics.gauge('spanmesh_topology_clusters', 'Clusters.', () => tree.counts.clusters);
  metrics.gauge('spanmesh_topology_nodes', 'Nodes.', () => tree.counts.nodes);
  metrics.gauge('spanmesh_topology_links', 'Links.', () => tree.counts.links);
  metrics.gauge('spanmesh_topology_relays', 'Relays that selection holds open.', () => tree.counts.relays);
  metrics.gauge('spanmesh_topology_relays_refused', 'Relays that peers have refused.', () => tree.counts.refused);
  metrics.counter('spanmesh_topology_relays_opened_total', 'Relays that were decided to open.', () => commander.opened);
  metrics.counter(
    'spanmesh_topology_relays_closed_total',
    'Relays that were decided to close.',
    () => commander.closed,
  );
  metrics.gauge(
    'spanmesh_topology_queued_bytes',
    'Commands (estimated) that wait for gateways to read.',
    () => commander.queuedBytes,
  );
  metrics.gauge(
    'spanmesh_topology_history_bytes',
    'Memory (estimated) that the history of changes holds.',
    () => history.bytes,
  );
  metrics.gauge(
    'spanmesh_topology_directory_waiting',
    'Calls of gateways that wait for a node or a cluster.',
    () => directory.waiting,
  );
  metrics.gauge('spanmesh_topology_watches', 'Watches.', () => api.watches);
  metrics.counter(
    'spanmesh_topology_nonsense_total',
    'Messages of peers that made no sense and were dropped.',
    () => measured.nonsense,
  );
}

/** What goes over the streams of all gateways. */
export function registerAttachTraffic(metrics: Metrics, traffic: GrpcTraffic): void {
  const name = (what: string) => `spanmesh_topology_attach_${what}_total`;
  metrics.counter(name('received_bytes'), 'Bytes of messages from gateways.', () => traffic.bytesIn);
  metrics.counter(name('received_messages'), 'Messages from gateways.', () => traffic.messagesIn);
  metrics.counter(name('sent_bytes'), 'Bytes of messages to gateways.', () => traffic.bytesOut);
  metrics.counter(name('sent_messages'), 'Messages to gateways.', () => traffic.messagesOut);
}
