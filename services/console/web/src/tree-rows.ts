import { printableLabel } from '@spanmesh/ctl/output/label';
import { Dialect, type Link, type Relay } from '@spanmesh/proto/v1/types';
import type { ClusterEntry, NodeEntry } from './mirror.ts';

interface Common {
  readonly key: string;
  /** Key of the thing whose change is marked in the row. */
  readonly changeKey: string;
  /** Depth of the row, from 1. */
  readonly level: number;
  /** Position among its siblings, from 1; and (`of`) their number. */
  readonly position: number;
  readonly of: number;
  /** Whether the rows below it are shown; undefined: there are none. */
  readonly isOpen?: boolean;
}

/** A row of the drawn tree. */
export type Row = Common &
  (
    | { readonly kind: 'cluster'; readonly entry: ClusterEntry }
    | { readonly kind: 'node'; readonly entry: NodeEntry }
    | { readonly kind: 'link'; readonly link: Link }
    | { readonly kind: 'relay'; readonly relay: Relay }
    | { readonly kind: 'note'; readonly text: string }
  );

export interface TreeFilter {
  /** Text that an id, a label or a connection must contain; empty: all rows. */
  readonly find: string;
  readonly dialect: Dialect;
  /** Rows that are not in their first state: clusters begin open, nodes and links closed. */
  readonly toggled: ReadonlySet<string>;
  /** Relays of opened links, or a sentence why they are not known. */
  readonly relays: ReadonlyMap<string, readonly Relay[] | string>;
}

/** The rows of the trees that the filter admits, in the order of the API. */
export function flatten(clusters: Iterable<ClusterEntry>, filter: TreeFilter): Row[] {
  const find = filter.find.trim().toLowerCase();
  const rows: Row[] = [];
  const shown = [...clusters]
    .filter(({ cluster }) => filter.dialect === Dialect.DIALECT_UNSPECIFIED || cluster.key?.dialect === filter.dialect)
    .map((entry) => ({ entry, nodes: nodesOf(entry, find) }))
    .filter(({ nodes }) => nodes.length > 0 || find === '')
    .sort((a, b) => compareClusters(a.entry, b.entry));
  for (const [i, { entry, nodes }] of shown.entries()) {
    const { key } = entry;
    const isOpen = !filter.toggled.has(key);
    rows.push({ kind: 'cluster', key, changeKey: key, level: 1, position: i + 1, of: shown.length, isOpen, entry });
    if (!isOpen) continue;
    for (const [j, node] of nodes.entries()) addNode(rows, node, { position: j + 1, of: nodes.length }, filter);
  }
  return rows;
}

function addNode(rows: Row[], entry: NodeEntry, place: Pick<Common, 'position' | 'of'>, filter: TreeFilter): void {
  const { key } = entry;
  const isOpen = filter.toggled.has(key);
  rows.push({ kind: 'node', key, changeKey: key, level: 2, ...place, isOpen, entry });
  if (!isOpen) return;
  const links = [...entry.links.values()];
  for (const [i, link] of links.entries()) {
    const linkKey = `link ${link.id}`;
    const isLinkOpen = filter.toggled.has(linkKey);
    const common = { changeKey: link.id, level: 3, position: i + 1, of: links.length };
    rows.push({ kind: 'link', key: linkKey, ...common, isOpen: isLinkOpen, link });
    if (isLinkOpen) addRelays(rows, link.id, filter.relays.get(link.id) ?? 'Asking…');
  }
}

function addRelays(rows: Row[], link: string, relays: readonly Relay[] | string): void {
  const note = (text: string): void => {
    rows.push({ kind: 'note', key: `note ${link}`, changeKey: '', level: 4, position: 1, of: 1, text });
  };
  if (typeof relays === 'string') note(relays);
  else if (relays.length === 0) note('relayed to nobody');
  else {
    for (const [i, relay] of relays.entries()) {
      const key = `relay ${link} ${relay.lnkConn}`;
      rows.push({ kind: 'relay', key, changeKey: key, level: 4, position: i + 1, of: relays.length, relay });
    }
  }
}

function nodesOf({ cluster, nodes }: ClusterEntry, find: string): NodeEntry[] {
  const all = [...nodes.values()];
  const isClusterFound = [cluster.key?.id, cluster.key?.peerLabel].some((text) => has(text, find));
  const found = find === '' || isClusterFound ? all : all.filter((entry) => isFound(entry, find));
  return found.sort(compareNodes);
}

function isFound({ node, links }: NodeEntry, find: string): boolean {
  if (has(node.label, find) || has(node.key?.id, find)) return true;
  return [...links.values()].some(({ id, connection, label }) => [id, connection, label].some((one) => has(one, find)));
}

function has(text: string | undefined, find: string): boolean {
  // Compared as it is shown: a raw label has one character for each byte.
  return text !== undefined && printableLabel(text).toLowerCase().includes(find);
}

/** Compares by the order of the API. */
function compareClusters({ cluster: { key: a } }: ClusterEntry, { cluster: { key: b } }: ClusterEntry): number {
  return (
    (a?.dialect ?? 0) - (b?.dialect ?? 0) ||
    (a?.peerType ?? 0) - (b?.peerType ?? 0) ||
    compare(a?.id ?? '', b?.id ?? '') ||
    compare(a?.peerLabel ?? '', b?.peerLabel ?? '')
  );
}

function compareNodes({ node: { key: a } }: NodeEntry, { node: { key: b } }: NodeEntry): number {
  return compare(a?.label ?? '', b?.label ?? '') || compare(a?.id ?? '', b?.id ?? '');
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
