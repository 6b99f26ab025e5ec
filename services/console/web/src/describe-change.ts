import { printable } from '@spanmesh/ctl/output/printable';
import { clusterText, quoted } from '@spanmesh/ctl/views/words';
import { type Change, ChangeKind } from '@spanmesh/proto/v1/topology';

/** A change in words. */
export interface Described {
  readonly kind: 'came' | 'changed' | 'went';
  /** Of what: `cluster`, `node`, `link`, `connection`, `LNK_CONN`. */
  readonly what: string;
  readonly text: string;
}

export function describeChange(change: Change): Described {
  const kind =
    change.kind === ChangeKind.CHANGE_KIND_ADDED
      ? 'came'
      : change.kind === ChangeKind.CHANGE_KIND_REMOVED
        ? 'went'
        : 'changed';
  const { cluster, node, link, connection, lnkConn } = change;
  if (cluster !== undefined) return { kind, what: 'cluster', text: clusterText(cluster.key) };
  if (node !== undefined) return { kind, what: 'node', text: named(node.key?.id, node.label) };
  if (link !== undefined) {
    return { kind, what: 'link', text: `${named(link.id, link.label)} on ${printable(link.connection)}` };
  }
  if (connection !== undefined) {
    return {
      kind,
      what: 'connection',
      text: `${printable(connection.id)} with ${printable(connection.remoteAddress)}`,
    };
  }
  if (lnkConn !== undefined) {
    return { kind, what: 'LNK_CONN', text: `${named(lnkConn.id, lnkConn.label)} on ${printable(lnkConn.connection)}` };
  }
  return { kind, what: 'relay', text: printable(change.relays?.link ?? '') };
}

function named(id: string | undefined, label: string): string {
  return [printable(id ?? '?'), quoted(label)].filter(Boolean).join(' ');
}
