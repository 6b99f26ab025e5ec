import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

/** What a part of the output is; how it looks is decided here only. */
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

/** Colours if the stream is a terminal and the user has not said otherwise (NO_COLOR, NODE_DISABLE_COLORS). */
export function paintFor(stream: Writable): Paint {
  if (!('isTTY' in stream)) return plain;
  return (role, text) => styleText(STYLES[role] as Parameters<typeof styleText>[0], text, { stream });
}
