import { dialectOf } from '@spanmesh/proto/dialect';
import type { NodeSelector } from '@spanmesh/proto/v1/messaging';
import { Dialect as ProtoDialect } from '@spanmesh/proto/v1/types';
import type { Node, SpanTree } from '@spanmesh/spantree/tree';
import { findOneNode, nodesOf } from '../show/find.ts';
import { treeClusterKey } from '../trees/show-ids.ts';

/**
 * The node that a canonical selector names, or undefined if there is none (yet).
 * @throws ApiError INVALID_ARGUMENT: it fits several nodes; the error lists them
 */
export function selectNode(tree: SpanTree, { key, dialect, clusterId, node }: NodeSelector): Node | undefined {
  if (key !== undefined) return tree.findCluster(treeClusterKey(key.cluster!))?.node(key.id, key.label);
  return findOneNode(nodesIn(tree, dialect, clusterId), node);
}

/** The keys (Waiters) under which a call waits for the node of a selector. */
export function selectorKeys({ key, node }: NodeSelector): string[] {
  if (key !== undefined) return [`node ${key.id}`];
  return [`node ${node.toLowerCase()}`, `label ${node}`];
}

/**
 * The keys of the calls that a new node, or a node's new link, may concern: a selector contains the node's id, a prefix
 * of it, or its label.
 */
export function* keysOfNode({ nodeId, label }: Node): Iterable<string> {
  for (let end = 1; end <= nodeId.length; end++) yield `node ${nodeId.slice(0, end)}`;
  yield `label ${label}`;
}

function* nodesIn(tree: SpanTree, dialect: ProtoDialect, clusterId: string): Iterable<Node> {
  if (dialect === ProtoDialect.DIALECT_UNSPECIFIED && clusterId === '') {
    yield* nodesOf(tree);
    return;
  }
  const wanted = dialectOf(dialect);
  for (const cluster of tree.clusters()) {
    if (wanted !== null && cluster.dialect !== wanted) continue;
    if (clusterId === '' || cluster.clusterId === clusterId) yield* cluster.nodes();
  }
}
