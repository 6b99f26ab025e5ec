import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MAX_SEEN_KEYS_BYTES } from './limits.ts';
import { parsePrefix, prefixText } from './prefix.ts';
import type { SeenKey } from './withdrawn-keys.ts';

/** Beside rsa.prv: which peers have had a key, for the next run. Only names, no keys. */
export const SEEN_KEYS_FILE = 'seen-keys.json';
const FILE_MODE = 0o600;

const content = z.object({ seen: z.array(z.object({ peers: z.string().max(100), besideNone: z.boolean() })) });

/**
 * What an earlier run has written; null: there is no such file.
 * @throws Error it cannot be read, or says something else.
 */
export async function readSeenKeys(directory: string): Promise<SeenKey[] | null> {
  const path = join(directory, SEEN_KEYS_FILE);
  try {
    const found = await stat(path);
    if (!found.isFile() || found.size > MAX_SEEN_KEYS_BYTES) throw new Error('it is no file, or too large');
    const { seen } = content.parse(JSON.parse(await readFile(path, 'utf8')));
    return seen.map(({ peers, besideNone }) => ({ prefix: parsePrefix(peers), besideNone }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** What `writeSeenKeys` would write. */
export function seenKeysText(seen: readonly SeenKey[]): string {
  const lines = seen.map(({ prefix, besideNone }) => JSON.stringify({ peers: prefixText(prefix), besideNone }));
  return `{"seen": [\n${lines.sort().join(',\n')}\n]}\n`;
}

/**
 * The old file or the new one is there, whatever happens. Several gateways may share the directory: they write the same.
 * @throws Error the directory cannot be written.
 */
export async function writeSeenKeys(directory: string, text: string): Promise<void> {
  const path = join(directory, SEEN_KEYS_FILE);
  const written = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(written, 'w', FILE_MODE);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(written, path);
  } catch (error) {
    await rm(written, { force: true }).catch(() => {});
    throw error;
  }
}
