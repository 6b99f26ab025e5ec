import type * as api from '@spanmesh/proto/v1/topology';
import { Dialect as ProtoDialect } from '@spanmesh/proto/v1/types';
import type { Cluster, Connection, Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import { invalid } from './api-error.ts';
import { dialectOf } from './dialect.ts';
import { matchConnection } from './find.ts';
import { connectionData } from './gateway.ts';
import * as keys from './keys.ts';
import { compareKeys, pageOf, parseToken } from './paging.ts';
import { showCluster, showNode } from './show-cluster.ts';
import { relayedTo, showConnection } from './show-connection.ts';
import { linkId } from './show-ids.ts';
import { showLink, showRelay } from './show-link.ts';
import type { Trees } from './trees.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// The lists of topology.proto. Each is answered at once from the state as it is; the revision is the caller's to add.

export function listClusters(
  state: Trees,
  request: api.ListClustersRequest,
): Omit<api.ListClustersResponse, 'revision'> {
  const clusters = clustersOf(state, request.dialect, request.id);
  const { items, nextPageToken } = pageOf(clusters, request, { key: keys.clusterKey, bytes: keys.clusterBytes });
  return { clusters: items.map(showCluster), nextPageToken };
}

export function listNodes(state: Trees, request: api.ListNodesRequest): Omit<api.ListNodesResponse, 'revision'> {
  const nodes = nodesOf(state, request.dialect, request.clusterId, request.node);
  const { items, nextPageToken } = pageOf(nodes, request, { key: keys.nodeKey, bytes: keys.nodeBytes });
  return { nodes: items.map((node) => showNode(node)), nextPageToken };
}

export function listLinks(state: Trees, request: api.ListLinksRequest): Omit<api.ListLinksResponse, 'revision'> {
  const links = linksOf(state, request);
  const { items, nextPageToken } = pageOf(links, request, { key: keys.linkKey, bytes: keys.linkBytes });
  return { links: items.map((link) => showLink(link)), nextPageToken };
}

export function listConnections(
  state: Trees,
  request: api.ListConnectionsRequest,
): Omit<api.ListConnectionsResponse, 'revision'> {
  const connections = connectionsOf(state, request);
  const { items, nextPageToken } = pageOf(connections, request, {
    key: keys.connectionKey,
    bytes: keys.connectionBytes,
  });
  return { connections: items.map(showConnection), nextPageToken };
}

export function listRelays(state: Trees, request: api.ListRelaysRequest): Omit<api.ListRelaysResponse, 'revision'> {
  const { items, nextPageToken } = pageOf(relaysOf(state, request), request, {
    key: ([link, lnkConn]) => keys.relayKey(link, lnkConn),
    bytes: ([link]) => keys.relayBytes(link),
  });
  return { relays: items.map(([link, lnkConn]) => showRelay(link, lnkConn)), nextPageToken };
}

/** @throws ApiError INVALID_ARGUMENT: not an id or not a dialect. */
export function* clustersOf(state: Trees, dialect: ProtoDialect, id: string): Iterable<Cluster> {
  const wanted = id.toLowerCase();
  if (wanted !== '' && !UUID.test(wanted)) throw invalid(`${id} is not the id of a cluster: write the uuid in full.`);
  const matches = dialectFilter(dialect);
  for (const cluster of state.tree.clusters()) {
    if (matches(cluster.dialect) && (wanted === '' || cluster.clusterId === wanted)) yield cluster;
  }
}

function* nodesOf(state: Trees, dialect: ProtoDialect, clusterId: string, text: string): Iterable<Node> {
  const matches = nodeFilter(text);
  for (const cluster of clustersOf(state, dialect, clusterId)) {
    for (const node of cluster.nodes()) if (matches(node)) yield node;
  }
}

function* linksOf(state: Trees, request: api.ListLinksRequest): Iterable<Link> {
  const connection = connectionFilter(state, request.connection);
  if (connection === null) return;
  for (const node of nodesOf(state, request.dialect, request.clusterId, request.node)) {
    for (const link of node.links) if (connection === undefined || link.connection === connection) yield link;
  }
}

function* connectionsOf(state: Trees, request: api.ListConnectionsRequest): Iterable<Connection> {
  const matches = dialectFilter(request.dialect);
  for (const gateway of gatewaysInOrder(state)) {
    if (request.gateway !== '' && request.gateway !== gateway.id && request.gateway !== gateway.name) continue;
    for (const connection of gateway.connections.values()) {
      if (matches(dialectOf(connectionData(connection).opened.dialect)!)) yield connection;
    }
  }
}

function* relaysOf(state: Trees, request: api.ListRelaysRequest): Iterable<[Link, LnkConn]> {
  const connection = connectionFilter(state, request.connection);
  if (connection === null) return;
  const dialectMatches = dialectFilter(request.dialect);
  const nodeMatches = nodeFilter(request.node);
  // Earlier LNK_CONNs are on earlier pages: their relays need not be looked up.
  const [gateway = '', number = 0] = parseToken(request.pageToken) ?? [];
  for (const lnkConn of lnkConnsInOrder(state)) {
    if (connection !== undefined && lnkConn.connection !== connection) continue;
    if (!dialectMatches(lnkConn.filter.dialect)) continue;
    if (compareKeys([lnkConn.connection.gateway, lnkConn.id], [gateway, number]) < 0) continue;
    const links = relayedTo(lnkConn)
      .filter((link) => nodeMatches(link.node) && (request.link === '' || request.link === linkId(link)))
      .map((link) => ({ link, key: keys.relayKey(link, lnkConn) }))
      .sort((a, b) => compareKeys(a.key, b.key));
    for (const { link } of links) yield [link, lnkConn];
  }
}

function* lnkConnsInOrder(state: Trees): Iterable<LnkConn> {
  for (const gateway of gatewaysInOrder(state)) yield* gateway.lnkConns.values();
}

function gatewaysInOrder(state: Trees) {
  return [...state.gateways.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function dialectFilter(dialect: ProtoDialect): (one: 'linkid' | 'circuit') => boolean {
  if (dialect === ProtoDialect.DIALECT_UNSPECIFIED) return () => true;
  const wanted = dialectOf(dialect);
  if (wanted === undefined) throw invalid('There is no such dialect: leave it unspecified, or give LINKID or CIRCUIT.');
  return (one) => one === wanted;
}

function nodeFilter(text: string): (node: Node) => boolean {
  const id = text.toLowerCase();
  return (node) => text === '' || node.nodeId === id || node.label === text;
}

/** Undefined: any connection; null: none is meant. */
function connectionFilter(state: Trees, text: string): Connection | undefined | null {
  return text === '' ? undefined : (matchConnection(state, text) ?? null);
}
