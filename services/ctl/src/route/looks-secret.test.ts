import { expect, it } from 'vitest';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { newToken } from '../tokens/new-token.ts';
import { looksSecret } from './looks-secret.ts';

it.each([
  'login ann --password hunter2',
  'set passwd=x',
  'use token abc',
  'Authorization: Bearer x',
  'curl https://ann:hunter2@example.org/',
  '-----BEGIN RSA PRIVATE KEY-----',
  'set key 1',
  'show 3f786850e387550fdab836ed7e6dc881de23001b',
  'open c2Vzc2lvbi0xMjM0NTY3ODkw',
])('%s may be a secret', (line) => {
  expect(looksSecret(line)).toBe(true);
});

it('so may a token made by `tokens new`', async () => {
  const terminal = new RecordingTerminal();
  await newToken({ name: 'ann', role: 'read' }, terminal);
  expect(looksSecret(`x ${terminal.printed.trim()}`)).toBe(true);
});

it.each(['help', 'span lab.example:988', 'tree', 'show 0855c859-eb09-4ec0-8573-63f91c0e8d32', 'monkey business'])(
  '%s is none',
  (line) => {
    expect(looksSecret(line)).toBe(false);
  },
);
