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

export function showNodeKey({ cluster, nodeId, keyLabel }: Node): NodeKey {
  return { cluster: showClusterKey(cluster), id: nodeId, label: keyLabel };
}

/** The tree's key of a valid cluster key (cluster-key.ts). */
export function treeClusterKey({ dialect, id, peerType, peerLabel }: ClusterKey): TreeClusterKey {
  return { dialect: dialectOf(dialect) ?? 'circuit', clusterId: id, peerType, peerLabel };
}
