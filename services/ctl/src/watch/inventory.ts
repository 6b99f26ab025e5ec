import { type Change, ChangeKind, type ClusterTree, type RelayChange } from '@spanmesh/proto/v1/topology';
import type { Cluster, ClusterKey, Connection, Link, LnkConn, Node, NodeKey } from '@spanmesh/proto/v1/types';

/** The result of listing everything: the trees and the connections. */
export interface Snapshot {
  readonly clusters: readonly ClusterTree[];
  readonly connections: readonly Connection[];
}

/**
 * The objects that a watcher knows. It turns a new list into the changes that the watcher has missed, and recognises
 * changes that a watch repeats although the list showed them.
 */
export class Inventory {
  #clusters = new Map<string, Cluster>();
  #nodes = new Map<string, Node>();
  #links = new Map<string, Link>();
  #connections = new Map<string, Connection>();
  #lnkConns = new Map<string, LnkConn>();
  /** Ids of LNK_CONNs to which a link is relayed, by the link's id. */
  #relays = new Map<string, Set<string>>();

  /** Applies a change; returns the part of it that is new, or null if nothing is. */
  apply(change: Change): Change | null {
    const { kind, cluster, node, link, connection, lnkConn, relays } = change;
    if (relays !== undefined) return this.#applyRelays(kind, relays);
    let isNews = true;
    if (cluster !== undefined) isNews = put(this.#clusters, clusterId(cluster.key), cluster, kind);
    else if (node !== undefined) isNews = put(this.#nodes, nodeId(node.key), node, kind);
    else if (link !== undefined) {
      isNews = put(this.#links, link.id, link, kind);
      if (kind === ChangeKind.CHANGE_KIND_REMOVED) this.#relays.delete(link.id);
    } else if (connection !== undefined) isNews = put(this.#connections, connection.id, connection, kind);
    else if (lnkConn !== undefined) isNews = put(this.#lnkConns, lnkConn.id, lnkConn, kind);
    return isNews ? change : null;
  }

  /**
   * Replaces the content by a list, and returns the differences: first new and changed objects, each before those that
   * it contains, then removed ones.
   */
  replace(snapshot: Snapshot): Change[] {
    const before = { ...this.#maps() };
    this.#fill(snapshot);
    const came: Change[] = [];
    const went: Change[] = [];
    compare(
      before.connections,
      this.#connections,
      sameConnection,
      (kind, connection) => ({ kind, connection }),
      came,
      went,
    );
    compare(before.lnkConns, this.#lnkConns, same, (kind, lnkConn) => ({ kind, lnkConn }), came, went);
    compare(before.clusters, this.#clusters, same, (kind, cluster) => ({ kind, cluster }), came, went);
    compare(before.nodes, this.#nodes, same, (kind, node) => ({ kind, node }), came, went);
    compare(before.links, this.#links, sameLink, (kind, link) => ({ kind, link }), came, went);
    for (const [link, now] of this.#relays) {
      const lnkConns = without(now, before.relays.get(link));
      if (lnkConns.length > 0) came.push({ kind: ChangeKind.CHANGE_KIND_ADDED, relays: { link, lnkConns } });
    }
    for (const [link, then] of before.relays) {
      const lnkConns = without(then, this.#relays.get(link));
      if (lnkConns.length > 0) went.push({ kind: ChangeKind.CHANGE_KIND_REMOVED, relays: { link, lnkConns } });
    }
    return [...came, ...went.reverse()];
  }

  #maps() {
    return {
      clusters: this.#clusters,
      nodes: this.#nodes,
      links: this.#links,
      connections: this.#connections,
      lnkConns: this.#lnkConns,
      relays: this.#relays,
    };
  }

  #fill({ clusters, connections }: Snapshot): void {
    this.#clusters = new Map();
    this.#nodes = new Map();
    this.#links = new Map();
    this.#connections = new Map();
    this.#lnkConns = new Map();
    this.#relays = new Map();
    for (const { cluster, nodes } of clusters) {
      if (cluster !== undefined) this.#clusters.set(clusterId(cluster.key), cluster);
      for (const { node, links } of nodes) {
        if (node !== undefined) this.#nodes.set(nodeId(node.key), node);
        for (const { link, relays } of links) {
          if (link === undefined) continue;
          this.#links.set(link.id, link);
          if (relays.length > 0) this.#relays.set(link.id, new Set(relays.map((relay) => relay.lnkConn)));
        }
      }
    }
    for (const connection of connections) {
      this.#connections.set(connection.id, connection);
      for (const lnkConn of connection.lnkConns) this.#lnkConns.set(lnkConn.id, lnkConn);
    }
  }

  #applyRelays(kind: ChangeKind, { link, lnkConns }: RelayChange): Change | null {
    let open = this.#relays.get(link);
    const removed = kind === ChangeKind.CHANGE_KIND_REMOVED;
    const news = lnkConns.filter((lnkConn) => (open?.has(lnkConn) ?? false) === removed);
    if (news.length === 0) return null;
    if (open === undefined) {
      open = new Set();
      this.#relays.set(link, open);
    }
    for (const lnkConn of news) {
      if (removed) open.delete(lnkConn);
      else open.add(lnkConn);
    }
    if (open.size === 0) this.#relays.delete(link);
    return { kind, relays: { link, lnkConns: news } };
  }
}

/**
 * Puts an object in or takes it out; false: nothing has changed. An object reported as changed counts as changed, even
 * if it was unknown.
 */
function put<T>(map: Map<string, T>, id: string, object: T, kind: ChangeKind): boolean {
  if (kind === ChangeKind.CHANGE_KIND_REMOVED) return map.delete(id);
  const known = map.has(id);
  map.set(id, object);
  return !(known && kind === ChangeKind.CHANGE_KIND_ADDED);
}

function compare<T>(
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  isSame: (a: T, b: T) => boolean,
  change: (kind: ChangeKind, object: T) => Change,
  came: Change[],
  went: Change[],
): void {
  for (const [id, object] of now) {
    const old = before.get(id);
    if (old === undefined) came.push(change(ChangeKind.CHANGE_KIND_ADDED, object));
    else if (!isSame(old, object)) came.push(change(ChangeKind.CHANGE_KIND_CHANGED, object));
  }
  for (const [id, object] of before) {
    if (!now.has(id)) went.push(change(ChangeKind.CHANGE_KIND_REMOVED, object));
  }
}

// Counters are not compared: a watch does not report them either.
const same = (): boolean => true;
const sameLink = (a: Link, b: Link): boolean => a.status === b.status && a.suspect === b.suspect;
const sameConnection = (a: Connection, b: Connection): boolean => a.dialect === b.dialect && a.suspect === b.suspect;

function without(set: ReadonlySet<string>, other: ReadonlySet<string> | undefined): string[] {
  return [...set].filter((item) => other?.has(item) !== true);
}

function clusterId(key: ClusterKey | undefined): string {
  return JSON.stringify([key?.dialect, key?.id, key?.peerType, key?.peerLabel]);
}

function nodeId(key: NodeKey | undefined): string {
  return JSON.stringify([clusterId(key?.cluster), key?.id, key?.label]);
}
