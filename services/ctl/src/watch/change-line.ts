import { type Change, ChangeKind } from '@spanmesh/proto/v1/topology';
import type { Paint, Role } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { linkText } from '../views/tree-view.ts';
import { clusterText, dialectName, originText, peerType, quoted } from '../views/words.ts';

const KINDS = new Map<ChangeKind, readonly [string, Role]>([
  [ChangeKind.CHANGE_KIND_ADDED, ['added', 'good']],
  [ChangeKind.CHANGE_KIND_CHANGED, ['changed', 'warn']],
  [ChangeKind.CHANGE_KIND_REMOVED, ['removed', 'bad']],
]);
/** Widths of the first two words, by which the subjects are aligned. */
const KIND_WIDTH = 'removed'.length;
const OBJECT_WIDTH = 'connection'.length;

/** One line for one change: its kind, the kind of object, and the object. */
export function changeLine(change: Change, paint: Paint): string {
  const [word, role] = KINDS.get(change.kind) ?? ['?', 'warn'];
  const [object, text] = describe(change);
  return `${paint(role, word.padEnd(KIND_WIDTH))} ${object.padEnd(OBJECT_WIDTH)} ${text}\n`;
}

function describe({ cluster, node, link, connection, lnkConn, relays }: Change): readonly [string, string] {
  if (cluster !== undefined) return ['cluster', clusterText(cluster.key)];
  if (node !== undefined) {
    return ['node', words(printable(node.key?.id ?? '?'), quoted(node.label), 'of', clusterText(node.key?.cluster))];
  }
  if (link !== undefined) {
    const state = words(link.status === 0 ? '' : `status ${link.status}`, link.suspect ? 'suspect' : '');
    return ['link', words(linkText(link), 'of node', printable(link.node?.id ?? '?'), quoted(link.label), state)];
  }
  if (connection !== undefined) {
    const { id, dialect, remoteAddress, origin, wantedBy, suspect, closing } = connection;
    const wanted = wantedBy === '' ? '' : `wanted by ${printable(wantedBy)}`;
    const state = words(suspect ? 'suspect' : '', closing === '' ? '' : `closing: ${printable(closing)}`);
    return [
      'connection',
      words(printable(id), dialectName(dialect), printable(remoteAddress), originText(origin), wanted, state),
    ];
  }
  if (lnkConn !== undefined) {
    const { id, connection: on, peerType: type, label } = lnkConn;
    return ['LNK_CONN', words(printable(id), 'on', printable(on), peerType(type), quoted(label))];
  }
  if (relays !== undefined) {
    return ['relays', `of ${printable(relays.link)} to ${relays.lnkConns.map(printable).join(', ')}`];
  }
  return ['?', 'something that this command is too old to know'];
}

function words(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}
