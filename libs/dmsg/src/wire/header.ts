import { headerCrcIn } from './header-crc.ts';
import { readU8, viewOf } from './words.ts';

/**
 * Offsets of the core header's fields in bytes (protocol.md, "Message"). 64-bit fields: low half at the offset, high
 * half + 4.
 */
export const MAGIC_AT = 0;
export const RESERVED_AT = 2;
export const SALT_AT = 4;
export const MSGID_AT = 8;
/** linkid: source, circuit: circuit. */
export const CIRCUIT_AT = 16;
/** linkid: target, circuit: link_verifier. */
export const TARGET_AT = 24;
export const CMD_AT = 32;
export const AUX_CRC_AT = 36;
/** In the dialect's unit: linkid padded size / 64, circuit unpadded bytes. */
export const AUX_BYTES_AT = 40;
export const ERROR_AT = 44;
export const AUX_DESCR_AT = 48;
export const RESERVED2_AT = 56;
export const HDR_CRC_AT = 60;

/** Size of the core header, and the unit that headers and aux data are padded to, in bytes. */
export const CORE_HEADER_BYTES = 64;
/** Largest extended header in bytes (protocol.md, "Message": Limits). */
export const MAX_HEADER_BYTES = 2048;

export const MAGIC = 0x4832;
/** The magic as it reads when the sender has the other byte order. */
export const MAGIC_SWAPPED = 0x3248;

/** Bytes rounded up to the padding unit of 64. Exact for any safe integer. */
export function padded(bytes: number): number {
  const over = bytes % 64;
  return over === 0 ? bytes : bytes + 64 - over;
}

/**
 * Finishes a message in place: writes `salt` and then hdr_crc. Call it last, when the whole header is written. `view`
 * shows the same bytes as `buf`; without it one is made, which takes as long as everything else here.
 */
export function sealHeader(
  buf: Uint8Array,
  off: number,
  headBytes: number,
  salt: number,
  view: DataView = viewOf(buf),
): void {
  view.setInt32(off + SALT_AT, salt, true);
  view.setInt32(off + HDR_CRC_AT, headerCrcIn(view, buf, off, headBytes), true);
}

/**
 * Writes all 64 bytes of a core header at `off`; salt and hdr_crc stay 0 until `sealHeader`. Plain numbers, so that
 * nothing is allocated per message. `auxField` is aux_bytes in the dialect's unit (`auxField()` computes it); `auxCrc`
 * covers the padded aux data and is 0 without any.
 */
export function writeCoreHeader(
  view: DataView,
  off: number,
  cmd: number,
  msgidLo: number,
  msgidHi: number,
  circuitLo: number,
  circuitHi: number,
  targetLo: number,
  targetHi: number,
  error: number,
  auxField: number,
  auxCrc: number,
): void {
  view.setInt32(off + MAGIC_AT, MAGIC, true);
  view.setInt32(off + SALT_AT, 0, true);
  view.setInt32(off + MSGID_AT, msgidLo, true);
  view.setInt32(off + MSGID_AT + 4, msgidHi, true);
  view.setInt32(off + CIRCUIT_AT, circuitLo, true);
  view.setInt32(off + CIRCUIT_AT + 4, circuitHi, true);
  view.setInt32(off + TARGET_AT, targetLo, true);
  view.setInt32(off + TARGET_AT + 4, targetHi, true);
  view.setInt32(off + CMD_AT, cmd, true);
  view.setInt32(off + AUX_CRC_AT, auxCrc, true);
  view.setInt32(off + AUX_BYTES_AT, auxField, true);
  view.setInt32(off + ERROR_AT, error, true);
  view.setInt32(off + AUX_DESCR_AT, 0, true);
  view.setInt32(off + AUX_DESCR_AT + 4, 0, true);
  view.setInt32(off + RESERVED2_AT, 0, true);
  view.setInt32(off + HDR_CRC_AT, 0, true);
}

/** The aux_bytes field for `auxBytes` bytes of unpadded aux data (protocol.md, "Message": aux_bytes). */
export function auxField(auxUnit: 64 | 1, auxBytes: number): number {
  return auxUnit === 1 ? auxBytes : padded(auxBytes) / auxUnit;
}

/**
 * Turns a core header of the other byte order into little-endian in place (protocol.md: payloads are not swapped).
 * hdr_crc is swapped, too, but covers the bytes as they were sent, so it is not the CRC of the swapped header.
 */
export function swapCoreHeader(buf: Uint8Array, off: number): void {
  reverse(buf, off + MAGIC_AT, 2);
  reverse(buf, off + RESERVED_AT, 2);
  reverse(buf, off + SALT_AT, 4);
  reverse(buf, off + MSGID_AT, 8);
  reverse(buf, off + CIRCUIT_AT, 8);
  reverse(buf, off + TARGET_AT, 8);
  reverse(buf, off + CMD_AT, 4);
  reverse(buf, off + AUX_CRC_AT, 4);
  reverse(buf, off + AUX_BYTES_AT, 4);
  reverse(buf, off + ERROR_AT, 4);
  reverse(buf, off + AUX_DESCR_AT, 8);
  reverse(buf, off + RESERVED2_AT, 4);
  reverse(buf, off + HDR_CRC_AT, 4);
}

function reverse(buf: Uint8Array, at: number, bytes: number): void {
  for (let i = at, j = at + bytes - 1; i < j; i++, j--) {
    const low = readU8(buf, i);
    buf[i] = readU8(buf, j);
    buf[j] = low;
  }
}
