import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePrefix, prefixText } from '../address/prefix.ts';
import { MAX_SEEN_KEYS_BYTES } from './limits.ts';
import type { SeenKey } from './withdrawn-keys.ts';

/**
 * The file beside rsa.prv that tells the next run which peers have had a key. It has one line for each address or
 * prefix, and no keys.
 */
export const SEEN_KEYS_FILE = 'seen-keys';
/** Follows the prefix in the line of a SeenKey with `besideNone`. */
const BESIDE_NONE = ' beside-none';
const FILE_MODE = 0o600;

/**
 * What an earlier run has written; null: there is no such file.
 * @throws Error it cannot be read, or has other content.
 */
export async function readSeenKeys(directory: string): Promise<SeenKey[] | null> {
  const path = join(directory, SEEN_KEYS_FILE);
  try {
    const found = await stat(path);
    if (!found.isFile() || found.size > MAX_SEEN_KEYS_BYTES) throw new Error('it is no file, or too large');
    const lines = (await readFile(path, 'latin1')).split(/\n+/).filter((line) => line !== '');
    return lines.map((line) => {
      const besideNone = line.endsWith(BESIDE_NONE);
      return { prefix: parsePrefix(besideNone ? line.slice(0, -BESIDE_NONE.length) : line), besideNone };
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** The text for `writeSeenKeys`. */
export function seenKeysText(seen: readonly SeenKey[]): string {
  const lines = seen.map(({ prefix, besideNone }) => `${prefixText(prefix)}${besideNone ? BESIDE_NONE : ''}\n`);
  return lines.sort().join('');
}

/**
 * Replaces the file at once: even after a crash there is either the old one or the new one. Several gateways may share
 * the directory: they all write the same text.
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
