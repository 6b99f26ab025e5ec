import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { paintFor } from './paint.ts';

function stream(more: object): Writable {
  return Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), more);
}

it('colours for a terminal that has colours', () => {
  expect(paintFor(stream({ isTTY: true, getColorDepth: () => 8 }))('good', 'yes')).toBe('\x1b[32myes\x1b[39m');
});

it.each([
  ['a pipe or a file', {}],
  ['a terminal without colours, or with NO_COLOR set', { isTTY: true, getColorDepth: () => 1 }],
])('does not colour for %s', (_what, more) => {
  expect(paintFor(stream(more))('good', 'yes')).toBe('yes');
});
