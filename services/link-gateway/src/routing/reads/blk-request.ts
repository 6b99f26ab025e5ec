import {
  ABORT,
  BASE_MASK,
  BLK_CLOSE,
  BLK_ERROR,
  BLK_FLUSH,
  BLK_FREEBLKS,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  DELETE,
  LNK_ERROR,
  LNK_PING,
} from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { BLK_IO_BYTES } from '@spanmesh/dmsg/payload/blk';
import { readU32 } from '@spanmesh/dmsg/words';
import { type BlockRange, EVERYTHING } from './block-range.ts';

/** What the first message of a transaction with a node does to the node's blocks (protocol.md, "Payloads", BLK). */
export type BlkRequest =
  /** A read. Reads with the same payload ask for the same. */
  | { readonly kind: 'read'; readonly range: BlockRange; readonly payload: Buffer }
  /** It may change blocks in `range`. */
  | { readonly kind: 'write'; readonly range: BlockRange }
  /**
   * BLK_OPEN. `payload`: its payload as latin1; null: it has aux data, an error or flags beside it, so it is like no
   * other open.
   */
  | { readonly kind: 'open'; readonly payload: string | null }
  /** It leaves the blocks as they are. */
  | { readonly kind: 'other' };

// Offsets in the payload of BLK_READ, WRITE and FREEBLKS: those of protocol.md less 64.
const OFFSET = 8;
const BYTES = 16;

/** Commands that leave blocks as they are. Every other command, also an unknown one, may change all of them. */
const HARMLESS: ReadonlySet<number> = new Set([
  LNK_ERROR,
  LNK_PING,
  BLK_OPEN,
  BLK_CLOSE,
  BLK_READ,
  BLK_FLUSH,
  BLK_ERROR,
]);

/** True if a message with this command may change blocks. */
export function mayWrite(cmd: number): boolean {
  return !HARMLESS.has(cmd & BASE_MASK);
}

/** Classifies the first message of a transaction. */
export function requestOfFrame({ cmd, error, buf, off, headBytes, auxPadded }: Frame): BlkRequest {
  return requestOf(cmd, error, buf.subarray(off + CORE_HEADER_BYTES, off + headBytes), auxPadded);
}

/** Like `requestOfFrame`, of the message's parts; `payload` is copied. */
export function requestOf(cmd: number, error: number, payload: Uint8Array, auxBytes: number): BlkRequest {
  const base = cmd & BASE_MASK;
  const isBare = auxBytes === 0 && error === 0 && (cmd & ABORT) === 0;
  if (base === BLK_READ) {
    if (!isBare || payload.length !== BLK_IO_BYTES) return { kind: 'other' };
    return { kind: 'read', range: rangeOf(payload, 0), payload: Buffer.from(payload) };
  }
  if (base === BLK_OPEN) {
    // An open that the same message closes: no read can be stacked on it.
    const payloadOfBare = isBare && (cmd & DELETE) === 0 ? Buffer.from(payload).toString('latin1') : null;
    return { kind: 'open', payload: payloadOfBare };
  }
  if (!mayWrite(base)) return { kind: 'other' };
  const isWhole = (base === BLK_WRITE || base === BLK_FREEBLKS) && (cmd & DELETE) !== 0;
  const range = isWhole && payload.length >= BLK_IO_BYTES ? rangeOf(payload, auxBytes) : EVERYTHING;
  return { kind: 'write', range };
}

/** The range from the payload's offset, as long as its `bytes` field or as the aux data, whichever is more. */
function rangeOf(payload: Uint8Array, auxBytes: number): BlockRange {
  return {
    offsetLo: readU32(payload, OFFSET),
    offsetHi: readU32(payload, OFFSET + 4),
    bytes: Math.max(readU32(payload, BYTES), auxBytes),
  };
}
