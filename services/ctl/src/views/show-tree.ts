import { GetTreeResponse } from '@spanmesh/proto/v1/topology';
import { dialectFilter } from '../api/dialect-filter.ts';
import { TopologyApi } from '../api/topology-api.ts';
import { protobufJson, writeJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { type Terminal, write } from '../terminal.ts';
import type { ListQuery } from './lists.ts';
import { renderTree, TreeAssembly } from './tree-view.ts';

export interface TreeQuery extends ListQuery {
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
    const request = { dialect: dialectFilter(filters.dialect), clusterId: filters.cluster ?? '', withRelays };
    for await (const part of api.tree(request)) whole.add(part);
    const { clusters, revision } = whole;
    if (options.output === 'json') await writeJson(terminal.out, protobufJson(GetTreeResponse, { clusters, revision }));
    else await write(terminal.out, renderTree(clusters, paintFor(terminal.out)));
  } finally {
    api.close();
  }
}
