import { type Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { pagesOf } from '@spanmesh/ctl/api/pages';
import {
  ListConnectionsRequest,
  type ListConnectionsResponse,
  ListLinksRequest,
  type ListLinksResponse,
  ListRelaysRequest,
  type ListRelaysResponse,
  TopologyClient,
} from '@spanmesh/proto/v1/topology';
import type { Connection, Link, Relay } from '@spanmesh/proto/v1/types';
import { parseHostPort } from '@spanmesh/runtime/address';
import {
  nodeName,
  Oracle,
  type OracleConnection,
  type OracleLink,
  type OracleLnkConn,
} from '@spanmesh/spantree/testing/test-oracle';
import type { LivePeer } from './live-peer.ts';
import { isGatewaySpan, type SpanFields } from './payloads.ts';
import { PATIENCE_MS } from './raw-peer.ts';

/** The router's defaults (architecture.md, "Relay selection"). */
const LINKID_WIDTH = 2;
const CIRCUIT_WIDTH = 1;
const MAX_DIST = 16;
/** Most differences that are reported. */
const MAX_SAID = 20;

/** How to find a peer's connection in the trees: both functions give the same name for it. */
export interface Naming {
  readonly ofPeer: (peer: LivePeer) => string;
  readonly ofConnection: (connection: Connection) => string;
}

/** By address: each peer has one of its own. */
const BY_ADDRESS: Naming = {
  ofPeer: ({ raw }) => raw.socket.localAddress ?? 'nowhere',
  ofConnection: ({ remoteAddress }) => parseHostPort(remoteAddress).host,
};

/** By the label of its LNK_CONN: each peer has one of its own. For networks that change addresses. */
export const BY_LABEL: Naming = {
  ofPeer: ({ conns }) => [...conns.values()][0]?.label ?? 'unlabelled',
  ofConnection: ({ id, lnkConns }) => lnkConns[0]?.label ?? id,
};

/** The trees as topology's API shows them. */
export interface Trees {
  readonly connections: readonly Connection[];
  readonly links: readonly Link[];
  readonly relays: readonly Relay[];
}

/** Reads the trees of a replica. Rejects with the ServiceError. */
export async function readTrees(grpcPort: number): Promise<Trees> {
  const client = new TopologyClient(`127.0.0.1:${grpcPort}`, credentials.createInsecure());
  try {
    return await treesOf(client);
  } finally {
    client.close();
  }
}

/** Reads the trees with an existing client. Rejects with the ServiceError. */
export async function treesOf(client: TopologyClient): Promise<Trees> {
  const [connections, links, relays] = await Promise.all([
    all<ListConnectionsRequest, ListConnectionsResponse, Connection>(
      client,
      client.listConnections,
      ListConnectionsRequest.create(),
      (page) => page.connections,
    ),
    all<ListLinksRequest, ListLinksResponse, Link>(
      client,
      client.listLinks,
      ListLinksRequest.create(),
      (page) => page.links,
    ),
    all<ListRelaysRequest, ListRelaysResponse, Relay>(
      client,
      client.listRelays,
      ListRelaysRequest.create(),
      (page) => page.relays,
    ),
  ]);
  return { connections, links, relays };
}

/**
 * How the trees, and the relays that peers hold, differ from what the peers' connections offer (architecture.md, "What
 * must always hold" 2 and 4); empty: they agree. The selection is computed by the naive oracle of libs/spantree.
 * `peers`: every connected peer, except those for whose names (see `naming`) `isOther` is true; nobody else may select
 * their spans, and they select nothing. `rnssAdd`: SPANMESH_RNSS of the installation. `refused`: a relay that a peer
 * has refused may be there or not, since a refusal is forgotten when something else is taken. Relays of gateways' own
 * spans are not compared: no tree has them.
 */
export function differences(
  peers: readonly LivePeer[],
  trees: Trees,
  {
    rnssAdd,
    isOther = () => false,
    naming = BY_ADDRESS,
    refused = () => [],
  }: {
    rnssAdd: number;
    isOther?: (name: string) => boolean;
    naming?: Naming;
    refused?: (peer: LivePeer) => readonly SpanFields[];
  },
): string[] {
  const found: string[] = [];
  const byName = new Map<string, Connection>();
  for (const connection of trees.connections) {
    const name = naming.ofConnection(connection);
    if (byName.has(name)) found.push(`the trees have several connections with ${name}`);
    byName.set(name, connection);
  }
  const oracle = new Oracle(LINKID_WIDTH, CIRCUIT_WIDTH, MAX_DIST);
  const owners = new Map<OracleLnkConn, LivePeer>();
  const named = new Map<OracleLink, { id: string; span: SpanFields }>();
  for (const peer of peers) {
    const name = naming.ofPeer(peer);
    const connection = byName.get(name);
    byName.delete(name);
    if (connection === undefined) {
      found.push(`${peer.raw.name}: no connection with ${name} in the trees`);
      continue;
    }
    if (connection.suspect) found.push(`${peer.raw.name}: ${connection.id} is suspect`);
    const own: OracleConnection = { gateway: connection.gateway, suspect: connection.suspect };
    oracle.connections.push(own);
    found.push(...addLnkConns(peer, connection, own, oracle, owners));
    found.push(...addLinks(peer, connection, own, oracle, named, trees.links));
  }
  for (const [name, { id }] of byName) {
    if (!isOther(name)) found.push(`the trees have a connection ${id} with ${name}: nobody has it`);
  }
  const shown = new Set(trees.connections.map(({ id }) => id));
  for (const { id, connection } of trees.links) {
    if (!shown.has(connection)) found.push(`the trees have ${id} of ${connection}, which they do not have`);
  }
  const selections = new Selections(oracle);
  const wanted = new Map<string, SpanFields>();
  for (const lnkConn of oracle.lnkConns) {
    const peer = owners.get(lnkConn)!;
    for (const link of selections.of(lnkConn)) {
      const { id, span } = named.get(link)!;
      wanted.set(`${lnkConn.connection.gateway}:${lnkConn.id} ${id}`, relayed(peer, span, rnssAdd));
    }
  }
  const others = new Set([...byName.values()].map(({ id }) => id));
  const isRefused = (peer: LivePeer, name: string) => refused(peer).some((span) => nameOf(span) === name);
  const mayMiss = new Set<string>();
  for (const lnkConn of oracle.lnkConns) {
    if (refused(owners.get(lnkConn)!).length === 0) continue;
    const prefix = `${lnkConn.connection.gateway}:${lnkConn.id} `;
    for (const [name, span] of wanted) {
      if (name.startsWith(prefix) && isRefused(owners.get(lnkConn)!, nameOf(span))) mayMiss.add(name);
    }
  }
  found.push(...compareRelays(wanted, mayMiss, trees.relays, others));
  found.push(...peers.flatMap((peer) => compareHeld(peer, oracle, selections, owners, named, rnssAdd, isRefused)));
  return found.slice(0, MAX_SAID);
}

function addLnkConns(
  peer: LivePeer,
  connection: Connection,
  own: OracleConnection,
  oracle: Oracle,
  owners: Map<OracleLnkConn, LivePeer>,
): string[] {
  const { name } = peer.raw;
  const open = [...peer.conns.values()];
  if (open.length !== connection.lnkConns.length) {
    return [`${name}: ${open.length} LNK_CONNs are open, the trees have ${connection.lnkConns.length}`];
  }
  for (const [i, { id }] of connection.lnkConns.entries()) {
    const { peerMask, peerType, cluster } = open[i]!;
    const lnkConn: OracleLnkConn = {
      id: numberOf(id),
      connection: own,
      filter: {
        dialect: peer.dialect,
        peerMaskLo: Number(peerMask & 0xffffffffn),
        peerMaskHi: Number(peerMask >> 32n),
        peerType,
        clusterId: cluster,
      },
    };
    oracle.lnkConns.push(lnkConn);
    owners.set(lnkConn, peer);
  }
  return [];
}

function addLinks(
  peer: LivePeer,
  connection: Connection,
  own: OracleConnection,
  oracle: Oracle,
  named: Map<OracleLink, { id: string; span: SpanFields }>,
  links: readonly Link[],
): string[] {
  const found: string[] = [];
  const shown = new Map(links.filter((link) => link.connection === connection.id).map((link) => [link.msgid, link]));
  for (const [msgid, span] of peer.spans) {
    const link = shown.get(msgid);
    shown.delete(msgid);
    if (link === undefined) {
      found.push(`${peer.raw.name}: no link for its span of ${span.node} in the trees`);
      continue;
    }
    if (link.node?.id !== span.node || link.dist !== span.dist) found.push(`${link.id} is not what its peer offers`);
    const entry: OracleLink = {
      id: numberOf(link.id),
      connection: own,
      span: {
        dialect: peer.dialect,
        clusterId: span.cluster,
        nodeId: span.node,
        peerType: span.peerType,
        peerLabel: peer.dialect === 'circuit' ? span.clusterLabel : '',
        label: span.nodeLabel,
        dist: span.dist,
        rnss: span.rnss,
        stamp: Number(link.stamp),
      },
    };
    oracle.links.push(entry);
    named.set(entry, { id: link.id, span });
  }
  for (const { id, node } of shown.values()) found.push(`${peer.raw.name}: the trees have ${id} of ${node?.id}: gone`);
  return found;
}

function compareRelays(
  wanted: ReadonlyMap<string, SpanFields>,
  mayMiss: ReadonlySet<string>,
  relays: readonly Relay[],
  others: ReadonlySet<string>,
): string[] {
  const has = new Set(relays.filter(({ connection }) => !others.has(connection)).map((r) => `${r.lnkConn} ${r.link}`));
  return [
    ...[...wanted.keys()]
      .filter((name) => !has.has(name) && !mayMiss.has(name))
      .map((name) => `the trees lack the relay ${name}`),
    ...[...has].filter((name) => !wanted.has(name)).map((name) => `the trees have the relay ${name}: not selected`),
  ];
}

/** Compares the relays that a peer holds on the wire, on all its LNK_CONNs together. */
function compareHeld(
  peer: LivePeer,
  oracle: Oracle,
  selections: Selections,
  owners: ReadonlyMap<OracleLnkConn, LivePeer>,
  named: ReadonlyMap<OracleLink, { id: string; span: SpanFields }>,
  rnssAdd: number,
  isRefused: (peer: LivePeer, name: string) => boolean,
): string[] {
  const found: string[] = [];
  /** The fields of a missing relay → the names of the relays that it may be. */
  const missing = new Map<string, string[]>();
  for (const lnkConn of oracle.lnkConns) {
    if (owners.get(lnkConn) !== peer) continue;
    for (const link of selections.of(lnkConn)) {
      const { id, span } = named.get(link)!;
      const name = nameOf(relayed(peer, span, rnssAdd));
      const relay = `${lnkConn.connection.gateway}:${lnkConn.id} ${id}`;
      missing.set(name, [...(missing.get(name) ?? []), relay]);
    }
  }
  for (const { span, msgid } of peer.relays()) {
    if (isGatewaySpan(span)) continue;
    const name = nameOf(span);
    const one = missing.get(name) ?? [];
    if (one.length === 0) found.push(`${peer.raw.name}: holds ${msgid.toString(16)} of ${name}: not selected`);
    else missing.set(name, one.slice(1));
  }
  for (const [name, relays] of missing) {
    if (relays.length > 0 && !isRefused(peer, name))
      found.push(`${peer.raw.name}: lacks a relay ${relays.join(' or ')} of ${name}`);
  }
  return found;
}

/** The links that selection takes for each LNK_CONN. */
class Selections {
  readonly #oracle: Oracle;
  readonly #offerers: ReadonlySet<OracleConnection>;
  readonly #known = new Map<OracleLnkConn | string, readonly OracleLink[]>();

  constructor(oracle: Oracle) {
    this.#oracle = oracle;
    this.#offerers = new Set(oracle.links.map(({ connection }) => connection));
  }

  of(lnkConn: OracleLnkConn): readonly OracleLink[] {
    // Which connection it is matters only for the links of that connection itself: leafs with the same filter get the
    // same, and there are hundreds of them.
    const key = this.#offerers.has(lnkConn.connection) ? lnkConn : JSON.stringify(lnkConn.filter);
    let taken = this.#known.get(key);
    if (taken === undefined) {
      taken = this.#taken(lnkConn);
      this.#known.set(key, taken);
    }
    return taken;
  }

  #taken(lnkConn: OracleLnkConn): OracleLink[] {
    const { dialect } = lnkConn.filter;
    const nodes = new Map<string, OracleLink['span']>();
    for (const { span } of this.#oracle.links) if (span.dialect === dialect) nodes.set(nodeName(span), span);
    return [...nodes.values()].flatMap((span) => this.#oracle.select(lnkConn, span));
  }
}

/**
 * The fields of a relay of the span. architecture.md, "Relay selection": dist + 1; circuit: rnss + the installation's
 * constant.
 */
function relayed(peer: LivePeer, span: SpanFields, rnssAdd: number): SpanFields {
  const rnss = peer.dialect === 'circuit' ? (span.rnss + rnssAdd) >>> 0 : span.rnss;
  return { ...span, dist: span.dist + 1, rnss };
}

function nameOf({ cluster, node, peerType, dist, rnss, clusterLabel, nodeLabel }: SpanFields): string {
  return `${cluster} ${node} ${nodeLabel} (${clusterLabel}) type ${peerType} dist ${dist} rnss ${rnss}`;
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf(':') + 1));
}

type Unary<Request, Answer> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, answer: Answer) => void,
) => unknown;

/** All objects of a list, page by page. */
async function all<Request, Page extends { readonly nextPageToken: string }, Item>(
  client: Client,
  method: Unary<Request, Page>,
  request: Request,
  itemsOf: (page: Page) => readonly Item[],
): Promise<Item[]> {
  const items: Item[] = [];
  for await (const page of pagesOf((which) => ask<Request, Page>(client, method, { ...request, ...which }))) {
    items.push(...itemsOf(page));
  }
  return items;
}

function ask<Request, Answer>(client: Client, method: Unary<Request, Answer>, request: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    method.call(client, request, new Metadata(), { deadline: Date.now() + PATIENCE_MS }, (error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}
