import { createRequire } from 'node:module';
import type * as NodeRsCrc32 from '@node-rs/crc32';

/** CRC-32C of the bytes; `crc` is that of what comes before them. */
export type NativeCrc32c = (bytes: Uint8Array, crc: number) => number;

/**
 * The processor's own CRC-32C, by @node-rs/crc32; null where that has no binary for this system (DragonFly BSD has none): the tables do
 * the same work, slower for large messages.
 */
export const nativeCrc32c: NativeCrc32c | null = load();

function load(): NativeCrc32c | null {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as typeof NodeRsCrc32).crc32c as NativeCrc32c;
  } catch {
    return null;
  }
}
