import { dialectOf } from '@spanmesh/proto/dialect';
import type { NodeSelector } from '@spanmesh/proto/v1/messaging';
import { Dialect as ProtoDialect } from '@spanmesh/proto/v1/types';
import type { Node, SpanTree } from '@spanmesh/spantree/tree';
import { findOneNode, nodesOf } from '../show/find.ts';
import { treeClusterKey } from '../trees/show-ids.ts';

/**
 * The node that a canonical selector means, undefined if there is none (yet).
 * @throws ApiError INVALID_ARGUMENT: it means several; they are named.
 */
export function selectNode(tree: SpanTree, { key, dialect, clusterId, node }: NodeSelector): Node | undefined {
  if (key !== undefined) return tree.findCluster(treeClusterKey(key.cluster!))?.node(key.id, key.label);
  return findOneNode(nodesIn(tree, dialect, clusterId), node);
}

/** What a call that waits for a node waits under. */
export function selectorKeys({ key, node }: NodeSelector): string[] {
  if (key !== undefined) return [`node ${key.id}`];
  return [`node ${node.toLowerCase()}`, `label ${node}`];
}

/** Whom a node concerns that has come, or has got a link: a selector gives its id, a prefix of it, or its label. */
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
