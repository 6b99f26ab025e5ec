import { signal } from '@preact/signals';
import { pagesOf } from '@spanmesh/ctl/api/pages';
import { TreeAssembly } from '@spanmesh/ctl/views/tree-view';
import { type Change, ChangeKind } from '@spanmesh/proto/v1/topology';
import type { Cluster, ClusterKey, Connection, Link, LnkConn, Node, NodeKey } from '@spanmesh/proto/v1/types';
import { topology, words } from './api.ts';
import { follow } from './follow.ts';

/** Shortest time between two redrawings for changes, ms. */
const DRAW_MS = 150;
/** How long a change is marked as new, ms. */
export const FRESH_MS = 4000;

export interface NodeEntry {
  readonly key: string;
  node: Node;
  /** Links by id, in the order of the API until a new one comes. */
  readonly links: Map<string, Link>;
}

export interface ClusterEntry {
  readonly key: string;
  cluster: Cluster;
  readonly nodes: Map<string, NodeEntry>;
}

/** Whether the trees are being followed. */
export type Following =
  | { readonly state: 'beginning' }
  | { readonly state: 'live' }
  | { readonly state: 'lost'; readonly why: string; readonly since: number };

export const following = signal<Following>({ state: 'beginning' });
/** Rises with each change in the maps below. */
export const version = signal(0);
export const clusters = new Map<string, ClusterEntry>();
export const connections = new Map<string, Connection>();
/** Time of the last change, by key; forgotten when it is not new any more. */
export const changedAt = new Map<string, number>();

let revision: string | null = null;
let drawing: ReturnType<typeof setTimeout> | undefined;

/** Follows the trees and the connections for ever. @returns a function that ends it */
export function followTrees(): () => void {
  return follow(
    async (abort, progress) => {
      if (revision === null) revision = await list(abort);
      for await (const { created, changes: batch, progress: tick, listAgain } of topology.watch(
        { revision, withRelays: false },
        { signal: abort },
      )) {
        if (listAgain !== undefined) {
          revision = null;
          return;
        }
        following.value = { state: 'live' };
        progress();
        for (const change of batch?.changes ?? []) apply(change);
        revision = batch?.revision ?? tick?.revision ?? created?.revision ?? revision;
      }
      throw new Error('the server has ended the stream');
    },
    (error) => {
      const before = following.value;
      const since = before.state === 'lost' ? before.since : Date.now();
      following.value = { state: 'lost', why: words(error), since };
    },
  );
}

/** Whether a thing has changed within FRESH_MS. */
export function isFresh(key: string): boolean {
  const at = changedAt.get(key);
  return at !== undefined && Date.now() - at < FRESH_MS;
}

export function clusterKey(key: ClusterKey | undefined): string {
  return JSON.stringify([key?.dialect, key?.id, key?.peerType, key?.peerLabel]);
}

export function nodeKey(key: NodeKey | undefined): string {
  return JSON.stringify([clusterKey(key?.cluster), key?.id, key?.label]);
}

/** Lists everything. @returns the revision to watch from, that of the first list */
async function list(abort: AbortSignal): Promise<string> {
  const all: Connection[] = [];
  let from: string | undefined;
  for await (const page of pagesOf((request) => topology.listConnections(request, { signal: abort }))) {
    all.push(...page.connections);
    from ??= page.revision;
  }
  const trees = new TreeAssembly();
  for await (const part of topology.getTree({}, { signal: abort })) trees.add(part);
  connections.clear();
  for (const connection of all) connections.set(connection.id, connection);
  clusters.clear();
  for (const { cluster, nodes } of trees.clusters) {
    if (cluster === undefined) continue;
    const entry: ClusterEntry = { key: clusterKey(cluster.key), cluster, nodes: new Map() };
    clusters.set(entry.key, entry);
    for (const { node, links } of nodes) {
      if (node === undefined) continue;
      const key = nodeKey(node.key);
      const known = links.flatMap(({ link }) => (link === undefined ? [] : [[link.id, link] as const]));
      entry.nodes.set(key, { key, node, links: new Map(known) });
    }
  }
  draw();
  return from ?? '';
}

function apply(change: Change): void {
  const { kind, cluster, node, link, connection, lnkConn } = change;
  const isGone = kind === ChangeKind.CHANGE_KIND_REMOVED;
  if (cluster !== undefined) applyCluster(cluster, isGone);
  else if (node !== undefined) applyNode(node, isGone);
  else if (link !== undefined) applyLink(link, isGone);
  else if (connection !== undefined) applyConnection(connection, isGone);
  else if (lnkConn !== undefined) applyLnkConn(lnkConn, isGone);
  draw();
}

function applyCluster(cluster: Cluster, isGone: boolean): void {
  const key = clusterKey(cluster.key);
  if (isGone) {
    clusters.delete(key);
    return;
  }
  const known = clusters.get(key);
  if (known === undefined) clusters.set(key, { key, cluster, nodes: new Map() });
  else known.cluster = cluster;
  touched(key);
}

function applyNode(node: Node, isGone: boolean): void {
  const entry = clusters.get(clusterKey(node.key?.cluster));
  const key = nodeKey(node.key);
  if (isGone) {
    entry?.nodes.delete(key);
    return;
  }
  const known = entry?.nodes.get(key);
  if (known === undefined) entry?.nodes.set(key, { key, node, links: new Map() });
  else known.node = node;
  touched(key);
}

function applyLink(link: Link, isGone: boolean): void {
  const key = nodeKey(link.node);
  const entry = clusters.get(clusterKey(link.node?.cluster))?.nodes.get(key);
  if (isGone) entry?.links.delete(link.id);
  else {
    entry?.links.set(link.id, link);
    touched(link.id);
  }
  touched(key);
}

function applyConnection(connection: Connection, isGone: boolean): void {
  if (isGone) {
    connections.delete(connection.id);
    return;
  }
  const known = connections.get(connection.id);
  const lnkConns = connection.lnkConns.length > 0 ? connection.lnkConns : (known?.lnkConns ?? []);
  connections.set(connection.id, { ...connection, lnkConns });
  touched(connection.id);
}

function applyLnkConn(lnkConn: LnkConn, isGone: boolean): void {
  const connection = connections.get(lnkConn.connection);
  if (connection === undefined) return;
  const others = connection.lnkConns.filter(({ id }) => id !== lnkConn.id);
  connections.set(connection.id, { ...connection, lnkConns: isGone ? others : [...others, lnkConn] });
  touched(connection.id);
}

function touched(key: string): void {
  changedAt.delete(key);
  changedAt.set(key, Date.now());
}

/** Redraws soon, to show changes. */
function draw(): void {
  if (drawing !== undefined) return;
  drawing = setTimeout(() => {
    drawing = undefined;
    for (const [key, at] of changedAt) {
      if (Date.now() - at < FRESH_MS) break;
      changedAt.delete(key);
    }
    version.value++;
  }, DRAW_MS);
}
