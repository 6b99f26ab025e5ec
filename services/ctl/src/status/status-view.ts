import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { ProcessInfo } from '@spanmesh/proto/v1/process';
import { type GatewayStatus, ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import { ageText } from '../output/age-text.ts';
import type { Paint, Role } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { type Selectable, type Selection, selectPart } from '../output/select-rows.ts';
import { type Column, renderTable } from '../output/table.ts';
import { count, timeText } from '../views/words.ts';
import { type Status, seconds } from './problems.ts';

const REPLICA_COLUMNS: readonly Column<ReplicaStatus>[] = [
  { heading: 'TOPOLOGY', text: (r) => printable(r.address), role: () => 'node' },
  { heading: 'ROLE', text: (r) => roleName(r.role), role: (r) => roleRole(r.role) },
  { heading: 'BEHIND', align: 'right', text: (r) => (r.hasState ? seconds(r.lagMs) : '') },
  { heading: 'VERSION', narrow: 'omit', text: (r) => printable(r.version) },
];

export const GATEWAY_COLUMNS: readonly Column<GatewayStatus>[] = [
  { heading: 'GATEWAY', text: (g) => printable(gatewayId(g)), role: () => 'node' },
  { heading: 'STATE', text: gatewayState, role: (g) => (g.attached && !g.draining ? 'good' : 'warn') },
  { heading: 'SERVICE PORT', isWide: true, text: (g) => printable(g.serviceAddress) },
  { heading: 'CONNS', align: 'right', text: (g) => String(g.connections) },
  { heading: 'LNK_CONNS', align: 'right', narrow: 'omit', text: (g) => String(g.lnkConns) },
  { heading: 'LINKS', align: 'right', text: (g) => String(g.links) },
  { heading: 'RELAYS', align: 'right', text: (g) => String(g.relays) },
  { heading: 'VERSION', narrow: 'omit', text: (g) => printable(g.version) },
];

const PROCESS_COLUMNS: readonly Column<ProcessInfo>[] = [
  { heading: 'PROCESS', text: (p) => printable(p.id), role: () => 'node' },
  { heading: 'SERVICE', isWide: true, text: (p) => printable(p.service) },
  { heading: 'HOST', isWide: true, text: (p) => printable(p.host) },
  { heading: 'PID', isWide: true, align: 'right', text: (p) => String(p.pid) },
  { heading: 'GATEWAY ID', narrow: 'omit', text: (p) => printable(p.gateway) },
  { heading: 'LEADS', text: (p) => printable(p.leads.join(', ')) },
  {
    heading: 'READY',
    text: (p) => (p.notReady === '' ? 'yes' : 'no'),
    role: (p) => (p.notReady === '' ? 'good' : 'bad'),
  },
  { heading: 'NATS', text: natsState, role: (p) => (p.usesNats && !p.natsConnected ? 'bad' : undefined) },
  { heading: 'SINCE', narrow: 'omit', text: (p) => timeText(p.startedAt) },
  { heading: 'VERSION', narrow: 'omit', text: (p) => printable(p.version) },
];

/** What is reported above the tables, a sentence each. */
export interface Findings {
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Columns of all tables of a status. */
export const STATUS_COLUMNS = [REPLICA_COLUMNS, GATEWAY_COLUMNS, PROCESS_COLUMNS] as const;

/** How a status is laid out. */
export interface StatusLayout {
  readonly selection: Selection;
  readonly isWide: boolean;
  /** Characters in a line. */
  readonly width: number;
  readonly paint: Paint;
}

/** A status with only the selected rows, sorted as selected. */
export function selectStatus({ topology, processes, tried }: Status, selection: Selection): Status {
  const rows = <T>(columns: readonly Column<T>[], all: readonly T[]): T[] => [
    ...(selectPart({ columns, rows: all }, { ...selection, columns: null }, true)?.rows ?? []),
  ];
  return {
    topology: {
      ...topology,
      replicas: rows(REPLICA_COLUMNS, topology.replicas),
      gateways: rows(GATEWAY_COLUMNS, topology.gateways),
    },
    processes: processes && { ...processes, processes: rows(PROCESS_COLUMNS, processes.processes) },
    tried,
  };
}

/** The status as text: problems first, then the tables of replicas, gateways and processes. */
export function statusText(status: Status, { problems, notes }: Findings, layout: StatusLayout): string {
  const { topology, processes } = status;
  const { leader, counts } = topology;
  const { paint } = layout;
  const head =
    problems.length === 0
      ? `${paint('good', 'healthy')}\n`
      : `${paint('bad', count(problems.length, 'problem'))}\n${problems.map((problem) => `  ${problem}\n`).join('')}`;
  const lead =
    leader === undefined
      ? 'leader: none\n'
      : `leader: ${printable(leader.address)}, epoch ${leader.fullEpoch || leader.epoch}, lease renewed ${seconds(leader.leaseAgeMs)} ago\n`;
  const asides = notes.map((note) => `note: ${note}\n`).join('');
  const parts = [
    head + asides,
    lead,
    tableText({ columns: REPLICA_COLUMNS, rows: topology.replicas }, layout),
    tableText({ columns: GATEWAY_COLUMNS, rows: topology.gateways }, layout),
  ];
  if (processes !== null) parts.push(tableText({ columns: PROCESS_COLUMNS, rows: processes.processes }, layout));
  if (counts !== undefined) {
    const { clusters, nodes, links, connections, relays, refused } = counts;
    parts.push(
      `${count(connections, 'connection')}, ${count(clusters, 'cluster')}, ${count(nodes, 'node')}, ` +
        `${count(links, 'link')}, ${count(relays, 'relay')}${refused === 0 ? '' : `, ${refused} refused`}\n`,
    );
  }
  return parts.filter((part) => part !== '').join('\n');
}

/** A table; empty if none of its columns is selected. */
function tableText<T>(table: Selectable<T>, { selection, isWide, paint, width }: StatusLayout): string {
  const part = selectPart(table, selection, isWide);
  return part === null ? '' : renderTable(part.columns, part.rows, paint, width);
}

export function roleName(role: ReplicaRole): string {
  switch (role) {
    case ReplicaRole.REPLICA_ROLE_LEADER:
      return 'leader';
    case ReplicaRole.REPLICA_ROLE_STANDBY:
      return 'standby';
    case ReplicaRole.REPLICA_ROLE_TAKING_OVER:
      return 'taking over';
    case ReplicaRole.REPLICA_ROLE_FROZEN:
      return 'frozen';
    default:
      return '?';
  }
}

function roleRole(role: ReplicaRole): Role | undefined {
  if (role === ReplicaRole.REPLICA_ROLE_LEADER) return 'good';
  const isUnsure = role === ReplicaRole.REPLICA_ROLE_TAKING_OVER || role === ReplicaRole.REPLICA_ROLE_FROZEN;
  return isUnsure ? 'warn' : undefined;
}

export function gatewayState({ attached, draining }: GatewayStatus): string {
  if (!attached) return 'not attached';
  return draining ? 'draining' : 'attached';
}

function natsState({ usesNats, natsConnected, natsLosses, natsForSeconds }: ProcessInfo): string {
  if (!usesNats) return '';
  const losses = natsLosses === 0 ? '' : `, lost ${natsLosses}×`;
  const age = natsForSeconds === 0 ? '' : ` ${ageText(natsForSeconds)}`;
  return `${natsConnected ? 'connected' : 'away'}${age}${losses}`;
}
