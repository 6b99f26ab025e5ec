import { VOLCONF_COPY_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { readU32 } from '@spanmesh/dmsg/words';
import { VOLCONF_SLOTS } from '../limits.ts';

// Offsets in the payload, which starts with the copy: those of protocol.md, "Payloads", less 64.
const PATH = 64;
const INDEX = 128;

/** Why a LNK_VOLCONF is ignored. */
export type VolconfFault = 'index' | 'empty-path' | 'unterminated-path';

/**
 * Checks the LNK_VOLCONF whose payload starts at `at` (protocol.md, "The link layer" 3): index 0..255, path not empty,
 * its last byte 0. null: it is valid.
 */
export function volconfFault(buf: Uint8Array, at: number): VolconfFault | null {
  // A negative index reads as a large one.
  if (readU32(buf, at + INDEX) >= VOLCONF_SLOTS) return 'index';
  if (buf[at + PATH] === 0) return 'empty-path';
  return buf[at + VOLCONF_COPY_BYTES - 1] === 0 ? null : 'unterminated-path';
}

/** The slot of a valid LNK_VOLCONF. */
export function volconfIndex(buf: Uint8Array, at: number): number {
  return readU32(buf, at + INDEX);
}

/** A copy of the 128 bytes of its `copy` field. */
export function volconfCopy(buf: Uint8Array, at: number): Buffer {
  return Buffer.from(buf.subarray(at, at + VOLCONF_COPY_BYTES));
}
