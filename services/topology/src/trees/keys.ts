import type { Key } from '@spanmesh/runtime/grpc/paging';
import { dialectRank } from '@spanmesh/spantree/dialects';
import type { Cluster, Connection, Link, LnkConn, Node } from '@spanmesh/spantree/tree';

// The order of each list (topology.proto). Clusters, nodes and links are in the order in which the tree keeps them.

export function clusterKey(cluster: Cluster): Key {
  return [dialectRank(cluster.dialect), cluster.peerType, cluster.clusterId, cluster.peerLabel];
}

export function nodeKey(node: Node): Key {
  return [...clusterKey(node.cluster), node.keyLabel, node.nodeId];
}

/** Best link first (architecture.md, "Relay selection"). */
export function linkKey(link: Link): Key {
  const { dist, rnss, connection, span, id } = link;
  return [...nodeKey(link.node), dist, rnss, connection.suspect ? 1 : 0, span.stamp, connection.gateway, id];
}

export function connectionKey(connection: Connection): Key {
  return [connection.gateway, connection.id];
}

export function relayKey(link: Link, lnkConn: LnkConn): Key {
  return [lnkConn.connection.gateway, lnkConn.id, ...nodeKey(link.node), link.connection.gateway, link.id];
}

// Encoded sizes (upper bounds): the fixed parts, and labels, whose characters may take two bytes each.

export function clusterBytes(cluster: Cluster): number {
  return 100 + 2 * cluster.peerLabel.length;
}

export function nodeBytes(node: Node): number {
  return clusterBytes(node.cluster) + 100 + 4 * node.label.length;
}

export function linkBytes(link: Link): number {
  return nodeBytes(link.node) + 350 + 2 * link.span.label.length;
}

export function connectionBytes(connection: Connection): number {
  let bytes = 1000;
  for (const lnkConn of connection.lnkConns) bytes += lnkConnBytes(lnkConn);
  return bytes;
}

export function lnkConnBytes(_lnkConn: LnkConn): number {
  return 850;
}

export function relayBytes(link: Link): number {
  return nodeBytes(link.node) + 250;
}
