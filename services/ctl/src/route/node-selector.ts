import { NodeSelector } from '@spanmesh/proto/v1/messaging';
import { clusterIdOf } from '../api/cluster-id.ts';
import { dialectFilter } from '../api/dialect-filter.ts';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import type { FilterOptions } from '../filter-options.ts';

/**
 * The selector of the node that was typed. A cluster's label is looked up.
 * @throws Failure
 */
export async function nodeSelector(
  node: string,
  { dialect, cluster }: FilterOptions,
  options: ApiOptions,
): Promise<NodeSelector> {
  const api = new TopologyApi(options);
  try {
    const clusterId = (await clusterIdOf(api, cluster, dialect)) ?? '';
    return NodeSelector.fromPartial({ node, dialect: dialectFilter(dialect), clusterId });
  } finally {
    api.close();
  }
}
