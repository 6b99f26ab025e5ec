import { DmsgError } from './dmsg-error.ts';
import { ErrorCode } from './error-code.ts';
import { readU8, readU16, readU32 } from './wire/words.ts';

/** Size of a UUID on the wire in bytes. */
export const UUID_BYTES = 16;

export const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** A UUID as people write it, in either case. */
export const UUID_TEXT = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * For each byte of the canonical text, its place on the wire: DCE layout, u32, u16, u16 little-endian (protocol.md,
 * top).
 */
const WIRE_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const DASH = 0x2d;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Buffer in which `formatUuid` builds a text. */
const TEXT = Buffer.alloc(NIL_UUID.length);

/** The canonical text, lower case, of the 16 bytes at `off`. Sorting texts gives the order of `compareUuid`. */
export function formatUuid(buf: Uint8Array, off: number): string {
  if (isNilUuid(buf, off)) return NIL_UUID;
  // Built in a buffer: a string made by `+=` is kept by V8 as a tree of its pieces, 700 bytes for 36 characters.
  let at = 0;
  for (const place of WIRE_ORDER) {
    const byte = readU8(buf, off + place);
    TEXT[at++] = readU8(DIGITS, byte >>> 4);
    TEXT[at++] = readU8(DIGITS, byte & 15);
    if (at === 8 || at === 13 || at === 18 || at === 23) TEXT[at++] = DASH;
  }
  return TEXT.toString('latin1');
}

/**
 * Writes a canonical text (either case) as 16 bytes at `off`.
 * @throws DmsgError PARAM: not a UUID.
 */
export function parseUuid(text: string, out: Uint8Array, off: number): void {
  if (!UUID_TEXT.test(text)) throw new DmsgError(ErrorCode.PARAM, 'not a UUID');
  const hex = text.replaceAll('-', '');
  for (const [i, place] of WIRE_ORDER.entries()) out[off + place] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
}

/** True if the 16 bytes at `off` are all zero. */
export function isNilUuid(buf: Uint8Array, off: number): boolean {
  for (let i = off; i < off + UUID_BYTES; i++) {
    if (buf[i] !== 0) return false;
  }
  return true;
}

/** Compares in DCE order: the three numbers first, then the bytes. Negative, 0 or positive. */
export function compareUuid(a: Uint8Array, aOff: number, b: Uint8Array, bOff: number): number {
  const numbers =
    readU32(a, aOff) - readU32(b, bOff) ||
    readU16(a, aOff + 4) - readU16(b, bOff + 4) ||
    readU16(a, aOff + 6) - readU16(b, bOff + 6);
  if (numbers !== 0) return numbers;
  for (let i = 8; i < UUID_BYTES; i++) {
    const difference = readU8(a, aOff + i) - readU8(b, bOff + i);
    if (difference !== 0) return difference;
  }
  return 0;
}
