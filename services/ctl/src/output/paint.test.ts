import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { paintFor } from './paint.ts';

function stream(more: object): Writable {
  return Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), more);
}

const TERMINAL = { isTTY: true, getColorDepth: () => 8 };
const GREEN = '\x1b[32myes\x1b[39m';

it.each([
  ['a terminal that has colours', TERMINAL, {}],
  ['a pipe, where FORCE_COLOR is set', {}, { FORCE_COLOR: '1' }],
  ['a pipe, where FORCE_COLOR is set to nothing', {}, { FORCE_COLOR: '' }],
  ['a terminal, where NO_COLOR is set to nothing', TERMINAL, { NO_COLOR: '' }],
])('colours for %s', (_what, more, env) => {
  expect(paintFor(stream(more), env)('good', 'yes')).toBe(GREEN);
});

it.each([
  ['a pipe or a file', {}, {}],
  ['a terminal without colours', { isTTY: true, getColorDepth: () => 1 }, {}],
  ['a terminal, where NO_COLOR is set', TERMINAL, { NO_COLOR: '1' }],
  ['a terminal, where both are set', TERMINAL, { NO_COLOR: '1', FORCE_COLOR: '1' }],
  ['a terminal, where FORCE_COLOR says none', TERMINAL, { FORCE_COLOR: '0' }],
])('does not colour for %s', (_what, more, env) => {
  expect(paintFor(stream(more), env)('good', 'yes')).toBe('yes');
});
