import { type GatewayStatus, GetStatusResponse } from '@spanmesh/proto/v1/topology';
import { TopologyApi } from '../api/topology-api.ts';
import type { ListOptions } from '../list-options.ts';
import { protobufJson } from '../output/json.ts';
import { printList } from '../output/print-list.ts';
import { GATEWAY_COLUMNS } from '../status/status-view.ts';
import type { Terminal } from '../terminal.ts';

/**
 * Prints the gateways.
 * @throws Failure
 */
export async function listGateways(options: ListOptions, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  const fetch = async () => ({ rows: (await api.status()).gateways, document });
  try {
    await printList({ columns: GATEWAY_COLUMNS, fetch }, options, terminal);
  } finally {
    api.close();
  }
}

function document(rows: readonly GatewayStatus[]): unknown {
  const whole = protobufJson(GetStatusResponse, GetStatusResponse.fromPartial({ gateways: [...rows] }));
  return { gateways: (whole as { gateways: unknown }).gateways };
}
