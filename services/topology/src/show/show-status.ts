import {
  type GatewayStatus,
  type GetStatusResponse,
  type LeaderStatus,
  type MissingProcess,
  ObjectCounts,
  type RefusedProcess,
  type ReplicaStatus,
} from '@spanmesh/proto/v1/topology';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Gateway } from '../trees/gateway.ts';
import type { Trees } from '../trees/trees.ts';

/** The replicas as this one knows them, for the status. */
export interface ReplicasKnown {
  /** Id of the replica that answers. */
  readonly replica: string;
  readonly leader: LeaderStatus | undefined;
  readonly replicas: readonly ReplicaStatus[];
}

/** The processes as this replica knows them, for the status. */
export interface ProcessesKnown extends ReplicasKnown {
  readonly missing: readonly MissingProcess[];
  readonly refused: readonly RefusedProcess[];
  /** For how long nothing has been heard of a gateway over the bus, by its name, ms; 0: it is heard. */
  readonly unheardMs: (gateway: GatewayId) => number;
}

/** Highest value of a uint32, for lags: longer ones are cut to it. */
export const HIGHEST_U32 = 2 ** 32 - 1;

/** Milliseconds as the API gives them: whole ones, rounded up. */
export function wholeMs(ms: number): number {
  return ms > 0 ? Math.min(Math.ceil(ms), HIGHEST_U32) : 0;
}

/** The status of the installation. `state` null: this replica has no trees. */
export function showStatus(
  { unheardMs, ...known }: ProcessesKnown,
  state: Trees | null,
  revision: string,
): GetStatusResponse {
  const gateways = [...(state?.gateways.values() ?? [])].map((gateway) =>
    showGateway(gateway, wholeMs(unheardMs(gateway.name))),
  );
  return {
    ...known,
    replicas: [...known.replicas],
    missing: [...known.missing],
    refused: [...known.refused],
    gateways: gateways.sort((a, b) => (a.name < b.name ? -1 : 1)),
    counts: state === null ? ObjectCounts.create() : countsOf(state),
    revision,
  };
}

export function countsOf({ tree }: Trees): ObjectCounts {
  const { clusters, nodes, links, connections, lnkConns, relays, refused } = tree.counts;
  return { clusters, nodes, links, connections, lnkConns, relays, refused };
}

function showGateway(gateway: Gateway, unheardMs: number): GatewayStatus {
  const { name, boot, version, serviceAddress, attached, draining } = gateway;
  let relays = 0;
  for (const { relayCount } of gateway.lnkConns.values()) relays += relayCount;
  return {
    name,
    boot,
    version,
    serviceAddress,
    attached,
    draining,
    connections: gateway.connections.size,
    lnkConns: gateway.lnkConns.size,
    links: gateway.links.size,
    relays,
    unheardMs,
  };
}
