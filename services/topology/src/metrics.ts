import { ProcessKind } from '@spanmesh/proto/v1/topology';
import type { GrpcTraffic } from '@spanmesh/runtime/grpc/grpc-traffic';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { Api } from './api/api.ts';
import type { Commander } from './attach/commander.ts';
import type { GatewayControl } from './attach/gateway-control.ts';
import type { Leadership } from './attach/leadership.ts';
import type { Reaper } from './attach/reaper.ts';
import type { Roster } from './attach/roster.ts';
import type { Directory } from './directory/directory.ts';
import type { ReplicaEvents } from './events/replica-events.ts';
import type { Follower } from './replication/follower.ts';
import type { Publisher } from './replication/publisher.ts';
import type { ProcessesKnown } from './show/show-status.ts';
import type { History } from './trees/history.ts';
import type { State } from './trees/state.ts';

const KINDS: ReadonlyMap<ProcessKind, string> = new Map([
  [ProcessKind.PROCESS_KIND_LINK_GATEWAY, 'link-gateway'],
  [ProcessKind.PROCESS_KIND_TOPOLOGY, 'topology'],
  [ProcessKind.PROCESS_KIND_VOLCONF, 'volconf'],
]);

export interface Measured {
  readonly state: State;
  readonly control: GatewayControl;
  readonly commander: Commander;
  readonly history: History;
  readonly leadership: Leadership;
  readonly api: Api;
  readonly directory: Directory;
  readonly publisher: Publisher;
  readonly follower: Follower;
  readonly reaper: Reaper;
  readonly roster: Roster;
  /** All known processes. */
  processes(): Pick<ProcessesKnown, 'missing'>;
  /** Reports of gateways, mostly of peers' messages, that made no sense and were dropped. */
  readonly nonsense: number;
  /** Entries of every table. */
  tables(): TableSizes;
}

/** Registers the metrics of topology. All values are read from plain fields when they are scraped. */
export function registerMetrics(metrics: Metrics, measured: Measured): void {
  const { state, control, commander, history, leadership, api, directory, publisher, follower, reaper, roster } =
    measured;
  const { tree, closed } = state.trees;
  metrics.gauge('spanmesh_topology_leading', '1 if this replica leads.', () => (leadership.valid ? 1 : 0));
  metrics.gauge('spanmesh_topology_epoch', 'Epoch that this replica leads or led under.', () => leadership.epoch);
  metrics.gauge('spanmesh_topology_gateways', 'Gateways whose objects are in the tree.', () => state.gateways.size);
  metrics.gauge(
    'spanmesh_topology_gateways_live',
    'Gateways with an established stream and a complete snapshot.',
    () => control.live,
  );
  metrics.counter('spanmesh_topology_gateways_dead_total', 'Gateways that were declared dead.', () => reaper.declared);
  metrics.gauge(
    'spanmesh_topology_gateways_silent',
    'Gateways that are known of and have no stream.',
    () => [...roster.silent()].length,
  );
  metrics.gauge(
    'spanmesh_topology_processes_missing',
    'Processes that were there, have not said that they stop, and are not there, by kind.',
    () => missingByKind(measured.processes().missing),
    'kind',
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
    'Relays that have closed: commanded (selection), with their link or LNK_CONN, by the peer, or found closed in a snapshot.',
    () => ({ ...commander.closed, ...closed }),
    'reason',
  );
  metrics.gauge('spanmesh_topology_open', 'Entries of each table.', () => measured.tables(), 'table');
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
  metrics.gauge(
    'spanmesh_topology_replica_lag_seconds',
    'How old what a replica answers reads from is at most; 0 at the leader while its lease is valid, NaN without anything to answer from.',
    () => (leadership.settled ? leadership.frozenMs : (follower.view?.lagMs ?? Number.NaN)) / 1000,
  );
  metrics.gauge(
    'spanmesh_topology_replica_following',
    '1 if this replica is a standby that receives every change.',
    () => (follower.isLive ? 1 : 0),
  );
  metrics.counter(
    'spanmesh_topology_replica_snapshots_total',
    'Snapshots of the leader that this replica has taken in.',
    () => follower.snapshots,
  );
  metrics.counter(
    'spanmesh_topology_replica_differences_total',
    'Times that this replica was not what the leader had, and began again.',
    () => follower.differences,
  );
  metrics.counter(
    'spanmesh_topology_replica_unknown_changes_total',
    'Changes of a kind that this replica does not know, passed over.',
    () => follower.unknownChanges,
  );
  metrics.gauge('spanmesh_topology_followers', 'Standbys that follow this leader.', () => publisher.followers);
  metrics.counter(
    'spanmesh_topology_follower_messages_total',
    'Messages for standbys, counted for each.',
    () => publisher.messages,
  );
  metrics.counter(
    'spanmesh_topology_follower_bytes_total',
    'Bytes of messages for standbys, counted for each.',
    () => publisher.bytes,
  );
  metrics.gauge(
    'spanmesh_topology_follower_queued_bytes',
    'Bytes of changes that wait for standbys to read.',
    () => publisher.queuedBytes,
  );
  metrics.counter(
    'spanmesh_topology_followers_cut_off_total',
    'Standbys that did not read and were cut off.',
    () => publisher.cutOff,
  );
}

/** Registers the traffic of the streams of all gateways. */
export function registerAttachTraffic(metrics: Metrics, traffic: GrpcTraffic): void {
  const name = (what: string) => `spanmesh_topology_attach_${what}_total`;
  metrics.counter(name('received_bytes'), 'Bytes of messages from gateways.', () => traffic.bytesIn);
  metrics.counter(name('received_messages'), 'Messages from gateways.', () => traffic.messagesIn);
  metrics.counter(name('sent_bytes'), 'Bytes of messages to gateways.', () => traffic.bytesOut);
  metrics.counter(name('sent_messages'), 'Messages to gateways.', () => traffic.messagesOut);
}

/** Registers the metrics of events that this replica has received. */
export function registerEventMetrics(metrics: Metrics, { collector, api }: ReplicaEvents): void {
  metrics.counter(
    'spanmesh_topology_events_total',
    'Events that this replica has heard of, by kind (`spanmesh events`).',
    () => collector.counts,
    'kind',
  );
  metrics.counter(
    'spanmesh_topology_events_lost_total',
    'Events that were lost on their way to this replica.',
    () => collector.lost,
  );
  metrics.gauge('spanmesh_topology_event_watches', 'Watches of events.', () => api.watches);
}

/** Number of missing processes of each kind. */
function missingByKind(missing: ProcessesKnown['missing']): Record<string, number> {
  const counts = Object.fromEntries([...KINDS.values()].map((kind) => [kind, 0]));
  for (const { kind } of missing) {
    const name = KINDS.get(kind);
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
