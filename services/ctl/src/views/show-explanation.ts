import { ExplainResponse } from '@spanmesh/proto/v1/topology';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { type Terminal, write } from '../terminal.ts';
import { renderExplanation } from './explain-view.ts';

export interface ExplainQuery {
  readonly node: string;
  readonly connection: string;
  readonly options: ApiOptions;
}

/**
 * Asks why the node's links are relayed to the connection or not, and prints the answer.
 * @throws Failure
 */
export async function showExplanation({ node, connection, options }: ExplainQuery, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const answer = await api.explain(node, connection);
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(ExplainResponse, answer));
    else await write(terminal.out, renderExplanation(answer, paintFor(terminal.out)));
  } finally {
    api.close();
  }
}
