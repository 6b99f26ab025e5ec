// Words are read byte by byte, not with a DataView or Buffer's methods. A view must be made for each buffer (40 ns),
// then a read costs 0.4 ns; bytes need no view and cost 1.1 ns a word; Buffer's checked methods cost the same but need
// a Buffer. Where many messages are read out of one buffer there is a view (`Frame.view`).

/** A view of all of `buf`, for words. */
export function viewOf(buf: Uint8Array): DataView {
  return new DataView(buf.buffer, buf.byteOffset, buf.length);
}

/** The byte at `at`; 0 beyond the end. Calls of it are inlined. */
export function readU8(buf: Uint8Array, at: number): number {
  return buf[at] ?? 0;
}

/** The unsigned little-endian 32-bit word at `at`. */
export function readU32(buf: Uint8Array, at: number): number {
  return (readU16(buf, at) | (readU16(buf, at + 2) << 16)) >>> 0;
}

/** The unsigned big-endian 32-bit word at `at`: for headers from senders of the other byte order. */
export function readU32BE(buf: Uint8Array, at: number): number {
  return (
    (readU8(buf, at + 3) | (readU8(buf, at + 2) << 8) | (readU8(buf, at + 1) << 16) | (readU8(buf, at) << 24)) >>> 0
  );
}

/** The unsigned little-endian 16-bit word at `at`. */
export function readU16(buf: Uint8Array, at: number): number {
  return readU8(buf, at) | (readU8(buf, at + 1) << 8);
}

/** Writes the low 32 bits of `value`, little-endian. */
export function writeU32(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value;
  buf[at + 1] = value >>> 8;
  buf[at + 2] = value >>> 16;
  buf[at + 3] = value >>> 24;
}

/** Writes the low 16 bits of `value`, little-endian. */
export function writeU16(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value;
  buf[at + 1] = value >>> 8;
}
