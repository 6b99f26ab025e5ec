import type { Cluster, Connection, Link, Node, Relay } from '@spanmesh/proto/v1/types';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import {
  clusterName,
  dialectName,
  dialectOf,
  distText,
  msgidText,
  originText,
  peerType,
  pfsType,
  stampText,
  timeText,
} from './words.ts';

const suspect = (row: { readonly suspect: boolean }): 'warn' | undefined => (row.suspect ? 'warn' : undefined);
const state = (row: { readonly suspect: boolean }): string => (row.suspect ? 'suspect' : 'ok');
const connectionState = (c: Connection): string => (c.closing === '' ? state(c) : `closing: ${printable(c.closing)}`);

export const CLUSTER_COLUMNS: readonly Column<Cluster>[] = [
  { heading: 'DIALECT', text: (c) => dialectName(c.key?.dialect) },
  { heading: 'TYPE', text: (c) => printable(c.peerTypeName) },
  { heading: 'CLUSTER', text: (c) => printable(c.key?.id ?? ''), role: () => 'cluster' },
  { heading: 'NODES', align: 'right', text: (c) => String(c.nodes) },
  { heading: 'LINKS', align: 'right', text: (c) => String(c.links) },
  { heading: 'LABEL', narrow: 'cut', text: (c) => printableLabel(c.key?.peerLabel ?? '') },
];

export const NODE_COLUMNS: readonly Column<Node>[] = [
  { heading: 'DIALECT', narrow: 'omit', text: (n) => dialectName(dialectOf(n.key)) },
  { heading: 'NODE', text: (n) => printable(n.key?.id ?? ''), role: () => 'node' },
  { heading: 'CLUSTER', narrow: 'cut', text: (n) => clusterName(n.key?.cluster), role: () => 'cluster' },
  { heading: 'CLUSTER ID', isWide: true, text: (n) => printable(n.key?.cluster?.id ?? '') },
  { heading: 'PFS TYPE', narrow: 'omit', text: (n) => pfsType(n.pfsType, n.key?.cluster?.peerType ?? 0) },
  { heading: 'LINKS', align: 'right', narrow: 'omit', text: (n) => String(n.links) },
  { heading: 'DIST', align: 'right', text: (n) => distText(n.bestDist, dialectOf(n.key)) },
  { heading: 'LABEL', narrow: 'cut', text: (n) => printableLabel(n.label) },
];

export const LINK_COLUMNS: readonly Column<Link>[] = [
  { heading: 'LINK', text: (l) => printable(l.id) },
  { heading: 'NODE', text: (l) => printable(l.node?.id ?? ''), role: () => 'node' },
  { heading: 'CLUSTER', isWide: true, text: (l) => clusterName(l.node?.cluster), role: () => 'cluster' },
  { heading: 'TYPE', narrow: 'omit', text: (l) => peerType(l.peerType) },
  { heading: 'PFS TYPE', isWide: true, text: (l) => pfsType(l.pfsType, l.peerType) },
  { heading: 'DIST', align: 'right', text: (l) => distText(l.dist, dialectOf(l.node)) },
  { heading: 'RNSS', align: 'right', narrow: 'omit', text: (l) => String(l.rnss) },
  { heading: 'VIA', text: (l) => printable(l.connection) },
  { heading: 'MSGID', narrow: 'omit', text: (l) => msgidText(l.msgid) },
  { heading: 'RELAYS', align: 'right', text: (l) => String(l.relays) },
  { heading: 'STATUS', align: 'right', narrow: 'omit', text: (l) => String(l.status) },
  { heading: 'SINCE', narrow: 'omit', text: stampText, sortBy: (l) => l.stamp },
  { heading: 'STATE', text: state, role: suspect },
  { heading: 'LABEL', narrow: 'cut', text: (l) => printableLabel(l.label) },
];

export const CONNECTION_COLUMNS: readonly Column<Connection>[] = [
  { heading: 'CONNECTION', text: (c) => printable(c.id) },
  { heading: 'DIALECT', text: (c) => dialectName(c.dialect) },
  { heading: 'REMOTE', text: (c) => printable(c.remoteAddress) },
  { heading: 'ORIGIN', narrow: 'omit', text: (c) => originText(c.origin) },
  { heading: 'LNK_CONNS', align: 'right', narrow: 'omit', text: (c) => String(c.lnkConns.length) },
  { heading: 'LINKS', align: 'right', text: (c) => String(c.links) },
  { heading: 'RELAYS', align: 'right', text: (c) => String(c.relays) },
  { heading: 'SINCE', narrow: 'omit', text: (c) => timeText(c.since) },
  { heading: 'STATE', text: connectionState, role: (c) => (c.closing === '' ? suspect(c) : 'warn') },
  // Whose connection it is: the label of LNK_CONN, and the target for which volconf has dialled it.
  {
    heading: 'LABEL',
    narrow: 'cut',
    text: (c) =>
      c.lnkConns
        .map((l) => printableLabel(l.label))
        .filter(Boolean)
        .join(', '),
  },
  { heading: 'WANTED BY', narrow: 'omit', text: (c) => printable(c.wantedBy) },
];

export const RELAY_COLUMNS: readonly Column<Relay>[] = [
  { heading: 'LINK', text: (r) => printable(r.link) },
  { heading: 'LNK_CONN', text: (r) => printable(r.lnkConn) },
  { heading: 'CONNECTION', text: (r) => printable(r.connection) },
  { heading: 'DIST', align: 'right', text: (r) => distText(r.dist, dialectOf(r.node)) },
  {
    heading: 'STATE',
    narrow: 'omit',
    text: (r) => (r.withheld ? 'withheld' : 'open'),
    role: (r) => (r.withheld ? 'warn' : undefined),
  },
  { heading: 'NODE', text: (r) => printable(r.node?.id ?? ''), role: () => 'node' },
  { heading: 'CLUSTER', isWide: true, text: (r) => clusterName(r.node?.cluster), role: () => 'cluster' },
  { heading: 'LABEL', narrow: 'cut', text: (r) => printableLabel(r.node?.label ?? '') },
];
