import { createRequire } from 'node:module';
import type * as NodeRsCrc32 from '@node-rs/crc32';

/** CRC-32C of the bytes; `crc` is the CRC of the bytes before them. */
export type NativeCrc32c = (bytes: Uint8Array, crc: number) => number;

/**
 * CRC-32C by the processor's own instruction, from @node-rs/crc32; null where that package has no binary for this
 * system (DragonFly BSD has none). Then the tables do the same work, slower for large messages.
 */
export const nativeCrc32c: NativeCrc32c | null = load();

function load(): NativeCrc32c | null {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as typeof NodeRsCrc32).crc32c as NativeCrc32c;
  } catch {
    return null;
  }
}
