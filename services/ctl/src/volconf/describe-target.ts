import { PeerType } from '@spanmesh/dmsg/names';
import type { Slot, Target } from '@spanmesh/proto/v1/volconf';
import type { Paint } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { pfsType, quoted, timeText } from '../views/words.ts';
import { originName, stateName, stateRole, targetDialect } from './target-words.ts';

/** Everything that is known of a target, a line for each fact; unknown ones are left out. */
export function describeTarget(target: Target, paint: Paint): string {
  const role = stateRole(target);
  const state = stateName(target.state);
  const lines: (readonly [string, string])[] = [
    ['name', paint('node', printable(target.name))],
    ['origin', originName(target.origin)],
    ['path', printable(target.path)],
    ['dialect', targetDialect(target)],
    ['state', role === undefined ? state : paint(role, state)],
    ['since', timeText(target.since)],
    ['gateway', printable(target.gateway)],
    ['connection', printable(target.connection)],
    ['remote', printable(target.remoteAddress)],
    ['tries', String(target.attempts)],
    ['next try', timeText(target.nextTry)],
    ['last error', [timeText(target.lastErrorAt), printable(target.lastError)].filter(Boolean).join(' ')],
    ['generation', String(target.generation)],
    ...(target.slot === undefined ? [] : slotLines(target.slot)),
  ];
  const shown = lines.filter(([, text]) => text !== '');
  const width = shown.reduce((widest, [name]) => Math.max(widest, name.length), 0);
  return shown.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join('');
}

/** The fields of the LNK_VOLCONF that a volume has sent for this slot. */
function slotLines(slot: Slot): (readonly [string, string])[] {
  const held = [slot.heldBack ? 'held back: a better slot is up' : '', slot.pending ? 'a newer copy is pending' : ''];
  return [
    ['media', printable(slot.mediaId)],
    ['slot', String(slot.index)],
    ['copyid', slot.copyId === 0 ? '0, not in use' : String(slot.copyId)],
    ['inprog', String(slot.inprog)],
    ['flags', flagsText(slot.flags)],
    ['error', String(slot.error)],
    ['priority', priorityText(slot.priority)],
    // Only volumes have slots.
    ['pfs_type', pfsType(slot.remotePfsType, PeerType.HAMMER2)],
    ['cluster', printable(slot.clusterId)],
    ['label', quoted(slot.label)],
    ['policy', held.filter(Boolean).join('; ')],
  ];
}

/** protocol.md, "Payloads", LNK_VOLCONF: flags. */
function flagsText(flags: number): string {
  const names = [(flags & 1) !== 0 ? 'ENABLED' : '', (flags & 2) !== 0 ? 'INPROG' : ''].filter(Boolean);
  return names.length === 0 ? String(flags) : `${flags} ${names.join('|')}`;
}

/** protocol.md, "Payloads", LNK_VOLCONF: priority. */
function priorityText(priority: number): string {
  const words = [
    String(priority & 0x0f),
    (priority & 0x80) !== 0 ? 'round-robin' : '',
    (priority & 0x40) !== 0 ? 'media error' : '',
  ];
  return words.filter(Boolean).join(', ');
}
