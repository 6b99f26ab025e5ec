import { rulesOf } from '@spanmesh/dmsg/dialect';
import { peerTypeName, pfsTypeName } from '@spanmesh/dmsg/names';
import { hasLabels, dialectOf as nameOf } from '@spanmesh/proto/dialect';
import { type ClusterKey, ConnectionOrigin, type Dialect, type Link, type NodeKey } from '@spanmesh/proto/v1/types';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';

/** The dialect as people write it. */
export function dialectName(dialect: Dialect | undefined): string {
  return nameOf(dialect) ?? '?';
}

/** `HAMMER2`, or the number of a type without a name. */
export function peerType(type: number): string {
  const name = peerTypeName(type);
  return name.startsWith('?') ? String(type) : name;
}

/** `MASTER`, or the number of a type without a name; what the numbers mean depends on the peer type. */
export function pfsType(type: number, peer: number): string {
  return pfsTypeName(type, peer) ?? String(type);
}

/** The name of a cluster where there is no space for its id: its label, or its id if it has no label. */
export function clusterName(key: ClusterKey | undefined): string {
  return key === undefined ? '' : printableLabel(key.peerLabel) || printable(key.id);
}

/** dist as its dialect means it: circuit's is unsigned, the API's field is signed. */
export function distText(dist: number, dialect: Dialect | undefined): string {
  const name = nameOf(dialect);
  return String(name === null || rulesOf(name).payloads.isDistSigned ? dist : dist >>> 0);
}

/** Whether links of the dialect have rnss. */
export function hasRnss(dialect: Dialect | undefined): boolean {
  const name = nameOf(dialect);
  return name !== null && rulesOf(name).payloads.spanHasMedia;
}

/** A msgid as the debug shell prints it: 16 hexadecimal digits. */
export function msgidText(msgid: bigint): string {
  return msgid.toString(16).padStart(16, '0');
}

/** A label in quotes, or nothing if it is empty. */
export function quoted(label: string): string {
  return label === '' ? '' : `"${printableLabel(label)}"`;
}

/** How a connection came to be. */
export function originText(origin: ConnectionOrigin): string {
  switch (origin) {
    case ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED:
      return 'accepted';
    case ConnectionOrigin.CONNECTION_ORIGIN_SHELL:
      return 'shell';
    case ConnectionOrigin.CONNECTION_ORIGIN_TARGET:
      return 'target';
    default:
      return '?';
  }
}

/** A cluster in a few words: `circuit HAMMER2 <uuid> "label"`. */
export function clusterText(key: ClusterKey | undefined): string {
  if (key === undefined) return '?';
  const type = hasLabels(key.dialect) ? peerType(key.peerType) : '';
  return [dialectName(key.dialect), type, printable(key.id), quoted(key.peerLabel)].filter(Boolean).join(' ');
}

/** A node's dialect, if its key has one. */
export function dialectOf(node: NodeKey | undefined): Dialect | undefined {
  return node?.cluster?.dialect;
}

/** When a link came up, by its age stamp (microseconds since 1970); empty if the stamp is no valid time. */
export function stampText(link: Link): string {
  const ms = Number(link.stamp / 1000n);
  return link.stamp === 0n || ms > 8.64e15 ? '' : timeText(new Date(ms));
}

/** A moment as `2026-01-31 23:59:59Z`. */
export function timeText(time: Date | undefined): string {
  if (time === undefined || Number.isNaN(time.getTime())) return '';
  return `${time.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `1 node`, `2 nodes`. */
export function count(n: number, one: string): string {
  return `${n} ${one}${n === 1 ? '' : 's'}`;
}
