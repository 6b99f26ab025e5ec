import type { Cluster, Connection, Link, Node, Relay } from '@spanmesh/proto/v1/types';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import { dialectName, dialectOf, distText, msgidText, originText, peerType, stampText, timeText } from './words.ts';

const suspect = (row: { readonly suspect: boolean }): 'warn' | undefined => (row.suspect ? 'warn' : undefined);
const state = (row: { readonly suspect: boolean }): string => (row.suspect ? 'suspect' : 'ok');
const connectionState = (c: Connection): string => (c.closing === '' ? state(c) : `closing: ${printable(c.closing)}`);

export const CLUSTER_COLUMNS: readonly Column<Cluster>[] = [
  { heading: 'DIALECT', text: (c) => dialectName(c.key?.dialect) },
  { heading: 'TYPE', text: (c) => printable(c.peerTypeName) },
  { heading: 'CLUSTER', text: (c) => printable(c.key?.id ?? ''), role: () => 'cluster' },
  { heading: 'NODES', align: 'right', text: (c) => String(c.nodes) },
  { heading: 'LINKS', align: 'right', text: (c) => String(c.links) },
  { heading: 'LABEL', text: (c) => printable(c.key?.peerLabel ?? '') },
];

export const NODE_COLUMNS: readonly Column<Node>[] = [
  { heading: 'DIALECT', text: (n) => dialectName(dialectOf(n.key)) },
  { heading: 'NODE', text: (n) => printable(n.key?.id ?? ''), role: () => 'node' },
  { heading: 'CLUSTER', text: (n) => printable(n.key?.cluster?.id ?? '') },
  { heading: 'PFS', align: 'right', text: (n) => String(n.pfsType) },
  { heading: 'LINKS', align: 'right', text: (n) => String(n.links) },
  { heading: 'DIST', align: 'right', text: (n) => distText(n.bestDist, dialectOf(n.key)) },
  { heading: 'LABEL', text: (n) => printable(n.label) },
];

export const LINK_COLUMNS: readonly Column<Link>[] = [
  { heading: 'LINK', text: (l) => printable(l.id) },
  { heading: 'NODE', text: (l) => printable(l.node?.id ?? ''), role: () => 'node' },
  { heading: 'TYPE', text: (l) => peerType(l.peerType) },
  { heading: 'DIST', align: 'right', text: (l) => distText(l.dist, dialectOf(l.node)) },
  { heading: 'RNSS', align: 'right', text: (l) => String(l.rnss) },
  { heading: 'VIA', text: (l) => printable(l.connection) },
  { heading: 'MSGID', text: (l) => msgidText(l.msgid) },
  { heading: 'RELAYS', align: 'right', text: (l) => String(l.relays) },
  { heading: 'STATUS', align: 'right', text: (l) => String(l.status) },
  { heading: 'SINCE', text: stampText },
  { heading: 'STATE', text: state, role: suspect },
  { heading: 'LABEL', text: (l) => printable(l.label) },
];

export const CONNECTION_COLUMNS: readonly Column<Connection>[] = [
  { heading: 'CONNECTION', text: (c) => printable(c.id) },
  { heading: 'DIALECT', text: (c) => dialectName(c.dialect) },
  { heading: 'REMOTE', text: (c) => printable(c.remoteAddress) },
  { heading: 'ORIGIN', text: (c) => originText(c.origin) },
  { heading: 'LNK_CONNS', align: 'right', text: (c) => String(c.lnkConns.length) },
  { heading: 'LINKS', align: 'right', text: (c) => String(c.links) },
  { heading: 'RELAYS', align: 'right', text: (c) => String(c.relays) },
  { heading: 'SINCE', text: (c) => timeText(c.since) },
  { heading: 'STATE', text: connectionState, role: (c) => (c.closing === '' ? suspect(c) : 'warn') },
  // Whose peer it is: what LNK_CONN says, and who wanted a connection that we dialled.
  {
    heading: 'LABEL',
    text: (c) =>
      c.lnkConns
        .map((l) => printable(l.label))
        .filter(Boolean)
        .join(', '),
  },
  { heading: 'WANTED BY', text: (c) => printable(c.wantedBy) },
];

export const RELAY_COLUMNS: readonly Column<Relay>[] = [
  { heading: 'LINK', text: (r) => printable(r.link) },
  { heading: 'LNK_CONN', text: (r) => printable(r.lnkConn) },
  { heading: 'CONNECTION', text: (r) => printable(r.connection) },
  { heading: 'DIST', align: 'right', text: (r) => distText(r.dist, dialectOf(r.node)) },
  { heading: 'NODE', text: (r) => printable(r.node?.id ?? ''), role: () => 'node' },
  { heading: 'LABEL', text: (r) => printable(r.node?.label ?? '') },
];
