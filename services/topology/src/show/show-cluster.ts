import { peerTypeName } from '@spanmesh/dmsg/names';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { Cluster as ProtoCluster, Node as ProtoNode } from '@spanmesh/proto/v1/types';
import type { Cluster, Link, Node } from '@spanmesh/spantree/tree';
import { linkData } from '../trees/gateway.ts';
import { showClusterKey, showNodeKey } from '../trees/show-ids.ts';

export function showCluster(cluster: Cluster): ProtoCluster {
  let links = 0;
  for (const node of cluster.nodes()) links += node.links.length;
  return {
    key: showClusterKey(cluster),
    nodes: cluster.nodeCount,
    links,
    peerTypeName: cluster.hasLabels ? peerTypeName(cluster.peerType) : '',
  };
}

/** `links`: the node's links, best first; default: the current ones. */
export function showNode(node: Node, links: readonly Link[] = node.links): ProtoNode {
  const best = links[0];
  // A node whose last link has just gone has no best link to show.
  const pfsType = best && decodeLnkSpanPayload(best.span.dialect, linkData(best).payload, 0).pfsType;
  return {
    key: showNodeKey(node),
    label: node.label,
    pfsType: pfsType ?? 0,
    links: links.length,
    bestDist: (best?.dist ?? 0) | 0,
  };
}
