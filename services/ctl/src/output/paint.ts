import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

/** The role of a part of the output. Only this file decides how each role looks. */
export type Role = 'heading' | 'cluster' | 'node' | 'faint' | 'good' | 'bad' | 'warn';

/** Colours a text by its role. */
export type Paint = (role: Role, text: string) => string;

const STYLES = {
  heading: 'bold',
  cluster: ['bold', 'blue'],
  node: 'cyan',
  faint: 'gray',
  good: 'green',
  bad: 'red',
  warn: 'yellow',
} as const satisfies Record<Role, Parameters<typeof styleText>[0]>;

/** No colours. */
export const plain: Paint = (_role, text) => text;

/**
 * Colours if the stream is a terminal that has them, or FORCE_COLOR is set (to anything but 0 and false). A NO_COLOR
 * that is not empty wins over both.
 */
export function paintFor(stream: Writable, env: Readonly<Record<string, string | undefined>> = process.env): Paint {
  if (!isColoured(stream, env)) return plain;
  return (role, text) => styleText(STYLES[role] as Parameters<typeof styleText>[0], text, { validateStream: false });
}

function isColoured(
  stream: Writable,
  { NO_COLOR = '', FORCE_COLOR }: { NO_COLOR?: string; FORCE_COLOR?: string },
): boolean {
  if (NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  if (!('isTTY' in stream && stream.isTTY === true)) return false;
  // A colour depth of one bit means no colours.
  return !('getColorDepth' in stream && typeof stream.getColorDepth === 'function') || stream.getColorDepth() > 1;
}
