import type { LivePeer } from '../peer/live-peer.ts';

/** Tables and gauges of a gateway that are empty when nothing is routed. */
const EMPTY = [
  'spanmesh_gateway_queued_bytes',
  'spanmesh_gateway_trunk_queued_bytes',
  'spanmesh_gateway_receive_pending_bytes',
];
const TRUNK_TRANSACTIONS = 'spanmesh_gateway_trunk_transactions';
const TRUNK_ROUTES = 'spanmesh_gateway_trunk_routes';
const ON_DEMAND = 'spanmesh_gateway_on_demand_relays';
const CLIENTS_ROUTES = 'spanmesh_messaging_routes';
const TRANSACTIONS = 'spanmesh_gateway_open{table="transactions"}';
/** Counters that must stay 0: peers break no rules, and the program has no faults. */
const NEVER = /^spanmesh_gateway_(internal_errors|protocol_errors)_total/;

/** What peers and clients have open at a gateway when everything is quiet. */
export interface Explained {
  readonly peers: readonly Pick<LivePeer, 'conns' | 'spans' | 'held'>[];
  /** Number of relays of gateways' own spans that the peers hold. */
  readonly gatewaySpans: number;
  /** Number of routes of clients. */
  readonly routes: number;
}

/** What a gateway counts, and its peers do not explain, when everything is quiet. `samples`: its metrics. */
export function countFindings(
  host: string,
  samples: ReadonlyMap<string, number>,
  { peers, gatewaySpans, routes }: Explained,
): string[] {
  const found: string[] = [];
  const value = (name: string) => samples.get(name) ?? 0;
  // Route transactions stay as long as the relays that have used them; but nothing may be stacked on them.
  const routed = value(TRUNK_TRANSACTIONS) - value(TRUNK_ROUTES);
  if (routed !== 0) found.push(`${host}: ${routed} transactions are open on trunks`);
  // Each peer explains both LNK_CONNs, its spans and relays.
  const open = peers.reduce((sum, { conns, spans, held }) => sum + 1 + conns.size + spans.size + held.size, 0);
  if (value(TRANSACTIONS) !== open) {
    found.push(`${host} has ${value(TRANSACTIONS)} transactions open, its peers ${open}`);
  }
  if (value(ON_DEMAND) !== gatewaySpans) {
    found.push(`${host} has ${value(ON_DEMAND)} relays open on demand, of which its peers explain ${gatewaySpans}`);
  }
  if (value(CLIENTS_ROUTES) !== routes) {
    found.push(`${host} has ${value(CLIENTS_ROUTES)} routes of clients, its clients ${routes}`);
  }
  for (const name of EMPTY) if (value(name) !== 0) found.push(`${host}: ${name} is ${value(name)}`);
  return found;
}

/** Counters of a gateway that must never be more than 0, and are. */
export function countedFaults(host: string, samples: ReadonlyMap<string, number>): string[] {
  return [...samples].flatMap(([name, value]) =>
    value !== 0 && NEVER.test(name) ? [`${host}: ${name} is ${value}`] : [],
  );
}
