import { GetTreeResponse } from '@spanmesh/proto/v1/topology';
import { clusterIdOf } from '../api/cluster-id.ts';
import { dialectFilter } from '../api/dialect-filter.ts';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import type { FilterOptions } from '../filter-options.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { type Terminal, write } from '../terminal.ts';
import { renderTree, TreeAssembly } from './tree-view.ts';

export interface TreeQuery {
  readonly filters: FilterOptions;
  readonly options: ApiOptions;
  readonly withRelays: boolean;
}

/**
 * Asks for the trees and draws them, or prints them as one GetTreeResponse.
 * @throws Failure
 */
export async function showTree({ filters, withRelays, options }: TreeQuery, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const whole = new TreeAssembly();
    const clusterId = (await clusterIdOf(api, filters.cluster, filters.dialect)) ?? '';
    const request = { dialect: dialectFilter(filters.dialect), clusterId, withRelays };
    for await (const part of api.tree(request)) whole.add(part);
    const { clusters, revision } = whole;
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(GetTreeResponse, { clusters, revision }));
    else await write(terminal.out, renderTree(clusters, paintFor(terminal.out)));
  } finally {
    api.close();
  }
}
