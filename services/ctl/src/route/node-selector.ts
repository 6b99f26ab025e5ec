import { NodeSelector } from '@spanmesh/proto/v1/messaging';
import { dialectFilter } from '../api/dialect-filter.ts';
import type { FilterOptions } from '../filter-options.ts';

/** The node that was typed. */
export function nodeSelector(node: string, { dialect, cluster = '' }: FilterOptions): NodeSelector {
  return NodeSelector.fromPartial({ node, dialect: dialectFilter(dialect), clusterId: cluster });
}
