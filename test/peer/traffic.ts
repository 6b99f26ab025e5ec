import { credentials } from '@grpc/grpc-js';
import { ListTrafficRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { type TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';

/** The traffic counters of all gateways, from the API on this port. Fails if a gateway is missing. */
export function listTraffic(grpcPort: number): Promise<TrafficCounters[]> {
  const client = new TopologyClient(`127.0.0.1:${grpcPort}`, credentials.createInsecure());
  const request = ListTrafficRequest.fromPartial({ pageSize: 5000 });
  return new Promise<TrafficCounters[]>((resolve, reject) => {
    client.listTraffic(request, (error, answer) => {
      if (error !== null) reject(error);
      else if (answer.silentGateways.length > 0) reject(new Error(`missing: ${answer.silentGateways.join(', ')}`));
      else resolve(answer.counters);
    });
  }).finally(() => client.close());
}

/** The difference between two readings. */
export interface Added {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly transactionsOpened: number;
}

/**
 * The differences by gateway name and kind: `gateway-1 connection`, `gateway-1 trunk`, `gateway-1 class local`. A
 * gateway's connections are added up, and so are its trunks.
 */
export function addedBetween(
  before: readonly TrafficCounters[],
  after: readonly TrafficCounters[],
): Record<string, Added> {
  const sums: Record<string, Added> = {};
  for (const now of after) {
    const then = before.find((one) => one.kind === now.kind && one.gateway === now.gateway && one.id === now.id);
    const name = `${now.gateway.split('.')[0]} ${nameOf(now)}`;
    const sum = sums[name];
    const add = (field: keyof Added) => (sum?.[field] ?? 0) + now[field] - (then?.[field] ?? 0);
    sums[name] = {
      messagesIn: add('messagesIn'),
      messagesOut: add('messagesOut'),
      bytesIn: add('bytesIn'),
      bytesOut: add('bytesOut'),
      transactionsOpened: add('transactionsOpened'),
    };
  }
  return sums;
}

function nameOf({ kind, id }: TrafficCounters): string {
  if (kind === TrafficKind.TRAFFIC_KIND_CONNECTION) return 'connection';
  return kind === TrafficKind.TRAFFIC_KIND_TRUNK ? 'trunk' : `class ${id}`;
}
