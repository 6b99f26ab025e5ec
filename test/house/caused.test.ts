import { join } from 'node:path';
import { expect, it } from 'vitest';
import { causes, SIGN_KINDS, signs, unwritten } from './caused.ts';

const root = join(import.meta.dirname, '../..');
const wanted = signs(root);
const caused = causes(root, wanted);

it.each(SIGN_KINDS)('each %s has a test that brings it about by its cause: `// Causes:` above it', (kind) => {
  expect(wanted[kind].size).toBeGreaterThan(10);
  expect([...wanted[kind]].filter((name) => !caused.has(`${kind} ${name}`))).toEqual([]);
});

it('the lines of the log that the runbook tells of are written somewhere', () => {
  expect(unwritten(root, wanted.line)).toEqual([]);
});
