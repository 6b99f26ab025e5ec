import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { parsePrefix } from '../address/prefix.ts';
import { TestDirectory } from './keys.fixture.ts';
import { MAX_SEEN_KEYS_BYTES } from './limits.ts';
import { readSeenKeys, SEEN_KEYS_FILE, seenKeysText, writeSeenKeys } from './seen-keys-file.ts';

const made: TestDirectory[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.remove();
});

function directory(): string {
  const one = new TestDirectory();
  made.push(one);
  return one.path;
}

const seen = [
  { prefix: parsePrefix('10.1.0.0/16'), besideNone: false },
  { prefix: parsePrefix('10.1.2.3'), besideNone: true },
  { prefix: parsePrefix('2001:db8::/32'), besideNone: false },
];

it('returns what was written, is readable by its owner only, and leaves no other file behind', async () => {
  const where = directory();
  expect(await readSeenKeys(where)).toBeNull();
  await writeSeenKeys(where, 'something older\n');
  await writeSeenKeys(where, seenKeysText(seen));
  expect(readFileSync(join(where, SEEN_KEYS_FILE), 'utf8')).toBe('10.1.0.0/16\n10.1.2.3 beside-none\n2001:db8::/32\n');
  expect(await readSeenKeys(where)).toEqual(seen);
  expect(statSync(join(where, SEEN_KEYS_FILE)).mode & 0o777).toBe(0o600);
  expect(readdirSync(where)).toEqual([SEEN_KEYS_FILE]);
});

it.each(['host\n', '10.1.2.3 beside\n', '10.1.2.3/16\n', `${'x'.repeat(5_000_000)}`])(
  'does not read a file with other content',
  async (content) => {
    const where = directory();
    writeFileSync(join(where, SEEN_KEYS_FILE), content);
    await expect(readSeenKeys(where)).rejects.toThrow();
  },
);

// Limits: keys/limits.ts MAX_SEEN_KEYS_BYTES
it('may have 4 MiB', async () => {
  const where = directory();
  const text = seenKeysText(seen);
  writeFileSync(join(where, SEEN_KEYS_FILE), text.padEnd(MAX_SEEN_KEYS_BYTES, '\n'));
  expect(await readSeenKeys(where)).toEqual(seen);
  writeFileSync(join(where, SEEN_KEYS_FILE), text.padEnd(MAX_SEEN_KEYS_BYTES + 1, '\n'));
  await expect(readSeenKeys(where)).rejects.toThrow('too large');
});
