import { CloseConnectionResponse } from '@spanmesh/proto/v1/topology';
import { ConnectionOrigin } from '@spanmesh/proto/v1/types';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';

/**
 * Orders that a connection be closed, its last messages still sent.
 * @throws Failure
 */
export async function closeConnection(
  request: { readonly connection: string; readonly reason: string },
  options: ApiOptions,
  terminal: Terminal,
): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const answer = await api.closeConnection(request);
    if (isDocument(options.output)) {
      await writeDocument(options.output, terminal.out, protobufJson(CloseConnectionResponse, answer));
      return;
    }
    const { connection } = answer;
    if (connection === undefined) throw new Failure('refused', `no answer about ${printableLabel(request.connection)}`);
    const { id, remoteAddress, origin, wantedBy } = connection;
    await write(terminal.out, `${printable(id)}: closing, peer ${printable(remoteAddress)}\n`);
    if (origin === ConnectionOrigin.CONNECTION_ORIGIN_TARGET) {
      await write(terminal.out, `volconf will dial it again: ${printable(wantedBy)} wants it\n`);
    }
  } finally {
    api.close();
  }
}
