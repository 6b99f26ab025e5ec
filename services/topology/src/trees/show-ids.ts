import { apiDialect, dialectOf } from '@spanmesh/proto/dialect';
import type { ClusterKey, NodeKey } from '@spanmesh/proto/v1/types';
import type { Cluster, Connection, Link, LnkConn, Node, ClusterKey as TreeClusterKey } from '@spanmesh/spantree/tree';

/** Ids in the API are `<gateway>:<number>`. */
export function connectionId(connection: Connection): string {
  return `${connection.gateway}:${connection.id}`;
}

export function lnkConnId(lnkConn: LnkConn): string {
  return `${lnkConn.connection.gateway}:${lnkConn.id}`;
}

export function linkId(link: Link): string {
  return `${link.connection.gateway}:${link.id}`;
}

export function showClusterKey(cluster: Cluster): ClusterKey {
  const { dialect, clusterId, peerType, peerLabel } = cluster;
  return { dialect: apiDialect(dialect), id: clusterId, peerType, peerLabel };
}

/** protocol.md, "The link layer" 2: in linkid the label is no part of the identity. */
export function showNodeKey(node: Node): NodeKey {
  const label = node.cluster.dialect === 'circuit' ? node.label : '';
  return { cluster: showClusterKey(node.cluster), id: node.nodeId, label };
}

/** The tree's key for one without fault (cluster-key.ts). */
export function treeClusterKey({ dialect, id, peerType, peerLabel }: ClusterKey): TreeClusterKey {
  return { dialect: dialectOf(dialect) ?? 'circuit', clusterId: id, peerType, peerLabel };
}
