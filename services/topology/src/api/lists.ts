import { UUID_TEXT } from '@spanmesh/dmsg/uuid';
import { dialectOf, NO_SUCH_DIALECT } from '@spanmesh/proto/dialect';
import type * as api from '@spanmesh/proto/v1/topology';
import { Dialect as ProtoDialect } from '@spanmesh/proto/v1/types';
import { invalid } from '@spanmesh/runtime/grpc/api-error';
import { compareKeys, firstAfter, type Key, pageOf, pageUnits, type Visit } from '@spanmesh/runtime/grpc/paging';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { DIALECT_NAMES, type Dialect } from '@spanmesh/spantree/dialects';
import type { Cluster, Connection, Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import { matchConnection } from '../show/find.ts';
import { showCluster, showNode } from '../show/show-cluster.ts';
import { showConnection } from '../show/show-connection.ts';
import { showLink, showRelay } from '../show/show-link.ts';
import { connectionData, type Gateway, lnkConnData } from '../trees/gateway.ts';
import * as keys from '../trees/keys.ts';
import { linkId } from '../trees/show-ids.ts';
import type { Trees } from '../trees/trees.ts';

/** The answer of a list without its revision. The caller adds the revision that is current when the job ends. */
type Listed<Response extends { readonly revision: string }> = Job<Omit<Response, 'revision'>>;

// The lists of topology.proto. The objects that a request names are searched in slices; then the page is made in one
// go, from the current state.

export function* listClusters(state: Trees, request: api.ListClustersRequest): Listed<api.ListClustersResponse> {
  const matches = clusterFilter(request.dialect, request.id);
  yield pageUnits(request);
  const from = (after: Key | undefined) => clustersFrom(state, after, matches);
  const { items, nextPageToken } = pageOf(from, request, keys.clusterBytes);
  return { clusters: items.map(showCluster), nextPageToken };
}

export function* listNodes(state: Trees, request: api.ListNodesRequest): Listed<api.ListNodesResponse> {
  const ofCluster = clusterFilter(request.dialect, request.clusterId);
  const ofNode = nodeFilter(request.node);
  yield pageUnits(request);
  const from = (after: Key | undefined) => nodesFrom(state, after, ofCluster, ofNode);
  const { items, nextPageToken } = pageOf(from, request, keys.nodeBytes);
  return { nodes: items.map((node) => showNode(node)), nextPageToken };
}

export function* listLinks(state: Trees, request: api.ListLinksRequest): Listed<api.ListLinksResponse> {
  const ofCluster = clusterFilter(request.dialect, request.clusterId);
  const ofNode = nodeFilter(request.node);
  const connection = yield* connectionFilter(state, request.connection);
  yield pageUnits(request);
  const from = (after: Key | undefined) => linksFrom(state, after, { ofCluster, ofNode, connection });
  const { items, nextPageToken } = pageOf(from, request, keys.linkBytes);
  return { links: items.map((link) => showLink(link)), nextPageToken };
}

export function* listConnections(
  state: Trees,
  request: api.ListConnectionsRequest,
): Listed<api.ListConnectionsResponse> {
  const matches = dialectFilter(request.dialect);
  yield pageUnits(request);
  const from = (after: Key | undefined) => connectionsFrom(state, after, request.gateway, matches);
  const { items, nextPageToken } = pageOf(from, request, keys.connectionBytes);
  return { connections: items.map(showConnection), nextPageToken };
}

export function* listRelays(state: Trees, request: api.ListRelaysRequest): Listed<api.ListRelaysResponse> {
  const ofDialect = dialectFilter(request.dialect);
  const ofNode = nodeFilter(request.node);
  const connection = yield* connectionFilter(state, request.connection);
  yield pageUnits(request);
  const from = (after: Key | undefined) =>
    relaysFrom(state, after, { ofDialect, ofNode, connection, link: request.link });
  const { items, nextPageToken } = pageOf(from, request, ([link]) => keys.relayBytes(link));
  return { relays: items.map(([link, lnkConn]) => showRelay(link, lnkConn)), nextPageToken };
}

/** @throws ApiError INVALID_ARGUMENT: not an id or not a dialect. */
export function* clustersOf(state: Trees, dialect: ProtoDialect, id: string): Iterable<Cluster> {
  const matches = clusterFilter(dialect, id);
  for (const cluster of state.tree.clusters()) if (matches(cluster)) yield cluster;
}

/** The items from an index on, without a copy: a page may begin in the middle of a long list. */
function* itemsFrom<T>(items: readonly T[], first: number): Iterable<T> {
  for (let at = first; at < items.length; at++) yield items[at]!;
}

/**
 * The clusters from the given key on, including the one with this key, whether they match or not. The key may
 * also be that of a node or a link: then its cluster's part is used.
 */
function* clustersAt(state: Trees, at: Key | undefined): Iterable<Cluster> {
  for (const dialect of DIALECT_NAMES) {
    const clusters = state.tree.clustersOf(dialect);
    const first = at === undefined ? 0 : firstAfter(clusters, at.slice(0, 4), keys.clusterKey);
    // A cluster with exactly this key is the last one before those that come after it.
    const before = clusters[first - 1];
    const isThere =
      at !== undefined && before !== undefined && compareKeys(keys.clusterKey(before), at.slice(0, 4)) === 0;
    yield* itemsFrom(clusters, isThere ? first - 1 : first);
  }
}

function* clustersFrom(
  state: Trees,
  after: Key | undefined,
  matches: (cluster: Cluster) => boolean,
): Iterable<Visit<Cluster>> {
  for (const cluster of clustersAt(state, after)) {
    const key = () => keys.clusterKey(cluster);
    if (after !== undefined && compareKeys(key(), after) <= 0) continue;
    yield { item: matches(cluster) ? cluster : null, key };
  }
}

/**
 * The nodes from the given key on, including the one with this key or, if there is none, perhaps the last one before
 * it. The key may also be that of a link: then its node's part is used. A cluster that does not match is yielded as a
 * visit without an item.
 */
function* nodesAt(
  state: Trees,
  at: Key | undefined,
  ofCluster: (cluster: Cluster) => boolean,
): Iterable<Node | Visit<never>> {
  for (const cluster of clustersAt(state, at)) {
    if (!ofCluster(cluster)) {
      yield { item: null, key: () => keys.clusterKey(cluster) };
      continue;
    }
    const nodes = cluster.nodes();
    const isBegun = at !== undefined && compareKeys(keys.clusterKey(cluster), at.slice(0, 4)) === 0;
    let first = 0;
    if (isBegun) {
      // The last node up to the key: if it is the one with the key, links of it may come after the key.
      first = Math.max(0, firstAfter(nodes, at.slice(0, 6), keys.nodeKey) - 1);
    }
    yield* itemsFrom(nodes, first);
  }
}

function* nodesFrom(
  state: Trees,
  after: Key | undefined,
  ofCluster: (cluster: Cluster) => boolean,
  matches: (node: Node) => boolean,
): Iterable<Visit<Node>> {
  for (const node of nodesAt(state, after, ofCluster)) {
    if ('item' in node) {
      yield node;
      continue;
    }
    const key = () => keys.nodeKey(node);
    if (after !== undefined && compareKeys(key(), after) <= 0) continue;
    yield { item: matches(node) ? node : null, key };
  }
}

function* linksFrom(
  state: Trees,
  after: Key | undefined,
  filter: {
    readonly ofCluster: (cluster: Cluster) => boolean;
    readonly ofNode: (node: Node) => boolean;
    readonly connection: Connection | undefined | null;
  },
): Iterable<Visit<Link>> {
  const { ofCluster, ofNode, connection } = filter;
  if (connection === null) return;
  for (const node of nodesAt(state, after, ofCluster)) {
    if ('item' in node) {
      yield node;
      continue;
    }
    const { links } = node;
    if (!ofNode(node)) {
      yield { item: null, key: () => keys.nodeKey(node) };
      continue;
    }
    const isBegun = after !== undefined && compareKeys(keys.nodeKey(node), after) <= 0;
    for (const link of itemsFrom(links, isBegun ? firstAfter(links, after, keys.linkKey) : 0)) {
      const isMeant = connection === undefined || link.connection === connection;
      yield { item: isMeant ? link : null, key: () => keys.linkKey(link) };
    }
  }
}

function* connectionsFrom(
  state: Trees,
  after: Key | undefined,
  gatewayText: string,
  matches: (dialect: Dialect) => boolean,
): Iterable<Visit<Connection>> {
  const [gatewayId = '', number] = after ?? [];
  for (const gateway of gatewaysInOrder(state)) {
    if (gateway.id < gatewayId) continue;
    if (gatewayText !== '' && gatewayText !== gateway.id && gatewayText !== gateway.name) continue;
    for (const connection of gateway.connections.values()) {
      if (gateway.id === gatewayId && connection.id <= Number(number)) continue;
      const isMeant = matches(dialectOf(connectionData(connection).opened.dialect)!);
      yield { item: isMeant ? connection : null, key: () => keys.connectionKey(connection) };
    }
  }
}

function* relaysFrom(
  state: Trees,
  after: Key | undefined,
  filter: {
    readonly ofDialect: (dialect: Dialect) => boolean;
    readonly ofNode: (node: Node) => boolean;
    readonly connection: Connection | undefined | null;
    readonly link: string;
  },
): Iterable<Visit<readonly [Link, LnkConn]>> {
  const { ofDialect, ofNode, connection, link: wanted } = filter;
  if (connection === null) return;
  const [gatewayId = '', number] = after ?? [];
  for (const gateway of gatewaysInOrder(state)) {
    if (gateway.id < gatewayId || (connection !== undefined && connection.gateway !== gateway.id)) continue;
    for (const lnkConn of gateway.lnkConns.values()) {
      if (connection !== undefined && lnkConn.connection !== connection) continue;
      const isBegun = gateway.id === gatewayId && lnkConn.id === number;
      if (gateway.id === gatewayId && lnkConn.id < Number(number)) continue;
      const start: Key = [gateway.id, lnkConn.id];
      const onDemand = onDemandByNode(lnkConn);
      if (!ofDialect(lnkConn.filter.dialect) || (lnkConn.relayCount === 0 && onDemand.size === 0)) {
        yield { item: null, key: () => start };
        continue;
      }
      // The rest of the key after the LNK_CONN's is the key of a node and a link.
      const at = isBegun ? after?.slice(2) : undefined;
      const ofCluster = (cluster: Cluster) => cluster.dialect === lnkConn.filter.dialect;
      for (const node of nodesAt(state, at, ofCluster)) {
        if ('item' in node) {
          yield { item: null, key: () => [...start, ...node.key()] };
          continue;
        }
        const links = ofNode(node) ? relaysAt(node, lnkConn, onDemand) : [];
        if (links.length === 0) yield { item: null, key: () => [...start, ...keys.nodeKey(node)] };
        for (const link of links) {
          const key = () => keys.relayKey(link, lnkConn);
          if (isBegun && after !== undefined && compareKeys(key(), after) <= 0) continue;
          yield { item: wanted === '' || wanted === linkId(link) ? [link, lnkConn] : null, key };
        }
      }
    }
  }
}

/** The links of a node that are relayed to a LNK_CONN, selected or on demand, in order of gateway and number. */
function relaysAt(node: Node, lnkConn: LnkConn, onDemand: ReadonlyMap<Node, readonly Link[]>): Link[] {
  const links = new Set(lnkConn.relaysOf(node));
  for (const link of onDemand.get(node) ?? []) links.add(link);
  return [...links].sort((a, b) => compareKeys(keys.relayKey(a, lnkConn), keys.relayKey(b, lnkConn)));
}

function onDemandByNode(lnkConn: LnkConn): ReadonlyMap<Node, readonly Link[]> {
  const byNode = new Map<Node, Link[]>();
  for (const link of lnkConnData(lnkConn).onDemand ?? []) {
    const links = byNode.get(link.node);
    if (links === undefined) byNode.set(link.node, [link]);
    else links.push(link);
  }
  return byNode;
}

function gatewaysInOrder(state: Trees): Gateway[] {
  return [...state.gateways.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @throws ApiError INVALID_ARGUMENT: not an id or not a dialect. */
function clusterFilter(dialect: ProtoDialect, id: string): (cluster: Cluster) => boolean {
  const wanted = id.toLowerCase();
  if (wanted !== '' && !UUID_TEXT.test(wanted))
    throw invalid(`${id} is not the id of a cluster: write the uuid in full.`);
  const matches = dialectFilter(dialect);
  return (cluster) => matches(cluster.dialect) && (wanted === '' || cluster.clusterId === wanted);
}

function dialectFilter(dialect: ProtoDialect): (one: Dialect) => boolean {
  if (dialect === ProtoDialect.DIALECT_UNSPECIFIED) return () => true;
  const wanted = dialectOf(dialect);
  if (wanted === null) throw invalid(NO_SUCH_DIALECT);
  return (one) => one === wanted;
}

function nodeFilter(text: string): (node: Node) => boolean {
  const id = text.toLowerCase();
  return (node) => text === '' || node.nodeId === id || node.label === text;
}

/**
 * The connection that a request names. Undefined: the request names none, any connection matches; null: no connection
 * matches.
 */
function* connectionFilter(state: Trees, text: string): Job<Connection | undefined | null> {
  return text === '' ? undefined : ((yield* matchConnection(state, text)) ?? null);
}
