import { GetStatusResponse } from '@spanmesh/proto/v1/topology';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { protobufJson, writeJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { renderTable } from '../output/table.ts';
import { GATEWAY_COLUMNS } from '../status/status-view.ts';
import { type Terminal, write } from '../terminal.ts';

/**
 * Prints the gateways, as a table or one document.
 * @throws Failure
 */
export async function listGateways(options: ApiOptions, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const { gateways } = await api.status();
    if (options.output === 'json') {
      const document = protobufJson(GetStatusResponse, GetStatusResponse.fromPartial({ gateways })) as object;
      await writeJson(terminal.out, { gateways: (document as { gateways: unknown }).gateways });
    } else {
      await write(terminal.out, renderTable(GATEWAY_COLUMNS, gateways, paintFor(terminal.out)));
    }
  } finally {
    api.close();
  }
}
