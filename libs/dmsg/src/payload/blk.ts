import { readByteString, writeByteString } from '../byte-string.ts';
import type { Frame } from '../wire/frame.ts';
import { readU32, writeU32 } from '../wire/words.ts';
import { payloadAt, requireBytes } from './bounds.ts';

// The BLK protocol exists in the circuit dialect only (protocol.md, "Payloads").

/** Bits of BLK_OPEN's `modes` field. */
export const BLK_MODE_READ = 1;
export const BLK_MODE_WRITE = 2;

/** The payload of BLK_OPEN and BLK_CLOSE. */
export interface BlkOpen {
  readonly modes: number;
}

/** The payload of BLK_READ, BLK_WRITE, BLK_FLUSH and BLK_FREEBLKS. 64-bit fields in unsigned halves. */
export interface BlkIo {
  readonly keyidLo: number;
  readonly keyidHi: number;
  readonly offsetLo: number;
  readonly offsetHi: number;
  readonly bytes: number;
  readonly flags: number;
}

/** The payload of BLK_ERROR, the answer to the others; its aux data is the data read. */
export interface BlkError {
  readonly keyidLo: number;
  readonly keyidHi: number;
  readonly resid: number;
  readonly text: string;
}

/** Sizes of the payloads after the 64-byte header, in bytes. */
export const BLK_OPEN_BYTES = 64;
export const BLK_IO_BYTES = 64;
export const BLK_ERROR_BYTES = 128;

// Offsets in the payload: those of protocol.md less 64.
const MODES = 0;
const KEYID = 0;
const OFFSET = 8;
const BYTES = 16;
const FLAGS = 20;
const RESID = 8;
const TEXT = 16;
const TEXT_BYTES = 64;

/** @throws DmsgError FIELD: too short. */
export function decodeBlkOpen(frame: Frame): BlkOpen {
  const off = payloadAt(frame, BLK_OPEN_BYTES);
  return { modes: readU32(frame.buf, off + MODES) };
}

/** Writes the whole payload (64 bytes) at `off`. @throws DmsgError FIELD: no room. */
export function encodeBlkOpen(open: BlkOpen, buf: Uint8Array, off: number): void {
  requireBytes(buf, off, BLK_OPEN_BYTES);
  buf.fill(0, off, off + BLK_OPEN_BYTES);
  writeU32(buf, off + MODES, open.modes);
}

/** @throws DmsgError FIELD: too short. */
export function decodeBlkIo(frame: Frame): BlkIo {
  const { buf } = frame;
  const off = payloadAt(frame, BLK_IO_BYTES);
  return {
    keyidLo: readU32(buf, off + KEYID),
    keyidHi: readU32(buf, off + KEYID + 4),
    offsetLo: readU32(buf, off + OFFSET),
    offsetHi: readU32(buf, off + OFFSET + 4),
    bytes: readU32(buf, off + BYTES),
    flags: readU32(buf, off + FLAGS),
  };
}

/** Writes the whole payload (64 bytes) at `off`. @throws DmsgError FIELD: no room. */
export function encodeBlkIo(io: BlkIo, buf: Uint8Array, off: number): void {
  requireBytes(buf, off, BLK_IO_BYTES);
  buf.fill(0, off, off + BLK_IO_BYTES);
  writeU32(buf, off + KEYID, io.keyidLo);
  writeU32(buf, off + KEYID + 4, io.keyidHi);
  writeU32(buf, off + OFFSET, io.offsetLo);
  writeU32(buf, off + OFFSET + 4, io.offsetHi);
  writeU32(buf, off + BYTES, io.bytes);
  writeU32(buf, off + FLAGS, io.flags);
}

/** @throws DmsgError FIELD: too short. */
export function decodeBlkError(frame: Frame): BlkError {
  const { buf } = frame;
  const off = payloadAt(frame, BLK_ERROR_BYTES);
  return {
    keyidLo: readU32(buf, off + KEYID),
    keyidHi: readU32(buf, off + KEYID + 4),
    resid: readU32(buf, off + RESID),
    text: readByteString(buf, off + TEXT, TEXT_BYTES),
  };
}

/** Writes the whole payload (128 bytes) at `off`. @throws DmsgError FIELD: no room; PARAM: not a byte string. */
export function encodeBlkError(error: BlkError, buf: Uint8Array, off: number): void {
  requireBytes(buf, off, BLK_ERROR_BYTES);
  buf.fill(0, off, off + BLK_ERROR_BYTES);
  writeU32(buf, off + KEYID, error.keyidLo);
  writeU32(buf, off + KEYID + 4, error.keyidHi);
  writeU32(buf, off + RESID, error.resid);
  writeByteString(buf, off + TEXT, TEXT_BYTES, error.text);
}
