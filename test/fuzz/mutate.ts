import { crc32c } from '@spanmesh/dmsg/crc';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import {
  AUX_BYTES_AT,
  AUX_CRC_AT,
  CIRCUIT_AT,
  CMD_AT,
  CORE_HEADER_BYTES,
  ERROR_AT,
  HDR_CRC_AT,
  MAGIC,
  MAGIC_SWAPPED,
  MAX_HEADER_BYTES,
  MSGID_AT,
  padded,
  SALT_AT,
  swapCoreHeader,
  TARGET_AT,
} from '@spanmesh/dmsg/header';
import { headerCrcIn } from '@spanmesh/dmsg/wire/header-crc';
import { readU16, readU32, readU32BE, viewOf, writeU16, writeU32 } from '@spanmesh/dmsg/words';
import type { Random } from './random.ts';

/** Numbers at the limits that the code checks. */
const EDGES = [
  0, 1, 2, 3, 63, 64, 65, 127, 255, 256, 1023, 1024, 2048, 65535, 65536, 65537, 0xfffff, 0x100000, 0x100001, 0x7fffffff,
  0x80000000, 0xfffffffe, 0xffffffff,
];
const WORDS = [
  SALT_AT,
  MSGID_AT,
  MSGID_AT + 4,
  CIRCUIT_AT,
  CIRCUIT_AT + 4,
  TARGET_AT,
  TARGET_AT + 4,
  CMD_AT,
  AUX_CRC_AT,
  AUX_BYTES_AT,
  ERROR_AT,
  HDR_CRC_AT,
];
/** Offsets of words whose change neither the framing nor the transactions refuse in itself. */
const QUIET_WORDS = [CIRCUIT_AT, CIRCUIT_AT + 4, TARGET_AT, MSGID_AT, MSGID_AT + 4, ERROR_AT];

/** Changes one thing in the message at `buf[at .. end)`; any byte may be concerned. */
export function mutate(random: Random, buf: Uint8Array, at: number, end: number): void {
  const bytes = end - at;
  switch (random.below(9)) {
    case 0:
      buf[at + random.below(bytes)]! ^= 1 << random.below(8);
      break;
    case 1:
      buf[at + random.below(bytes)] = random.u32();
      break;
    case 2:
      if (bytes >= CORE_HEADER_BYTES) writeU32(buf, at + random.pick(WORDS), random.pick(EDGES));
      break;
    case 3:
      // The size of the header.
      if (bytes >= CORE_HEADER_BYTES) buf[at + CMD_AT] = random.oneIn(2) ? random.below(36) : random.u32();
      break;
    case 4:
      if (bytes >= CORE_HEADER_BYTES) writeU32(buf, at + AUX_BYTES_AT, random.below(random.oneIn(2) ? 200 : 1 << 21));
      break;
    case 5:
      // The flags.
      if (bytes >= CORE_HEADER_BYTES) buf[at + CMD_AT + 3]! ^= 1 << (2 + random.below(6));
      break;
    case 6: {
      const start = at + random.below(bytes);
      buf.fill(random.oneIn(2) ? 0 : 0xff, start, Math.min(end, start + 1 + random.below(64)));
      break;
    }
    case 7: {
      const from = at + random.below(bytes);
      const n = Math.min(random.below(32), end - from);
      buf.copyWithin(at + random.below(bytes - n), from, from + n);
      break;
    }
    case 8:
      if (bytes >= CORE_HEADER_BYTES) swapCoreHeader(buf, at);
      break;
  }
}

/** Changes one thing and keeps the framing valid: flags, ids, error, payload, aux data. */
export function mutateInside(random: Random, buf: Uint8Array, at: number, end: number): void {
  if (end - at < CORE_HEADER_BYTES) return;
  switch (random.below(6)) {
    case 0:
      buf[at + CMD_AT + 3]! ^= 1 << (2 + random.below(6));
      break;
    case 1:
      writeU32(buf, at + random.pick(QUIET_WORDS), random.oneIn(2) ? random.pick(EDGES) : random.below(8));
      break;
    case 2:
      // Another command of the same size.
      buf[at + CMD_AT + 1] = random.oneIn(4) ? random.u32() : random.pick([0, 1, 0x10, 0x11, 0x12, 0x20, 0xff]);
      break;
    case 3:
      swapCoreHeader(buf, at);
      break;
    default: {
      if (end - at === CORE_HEADER_BYTES) break;
      const start = at + CORE_HEADER_BYTES + random.below(end - at - CORE_HEADER_BYTES);
      if (random.oneIn(2)) buf[start] = random.u32();
      else buf.fill(random.oneIn(2) ? 0 : 0xff, start, Math.min(end, start + 1 + random.below(128)));
    }
  }
}

/** The size of the message at `at` according to its fields, at most up to `end`. */
export function messageBytes(buf: Uint8Array, at: number, end: number, rules: DialectRules): number {
  if (end - at < CORE_HEADER_BYTES) return end - at;
  const swapped = readU16(buf, at) === MAGIC_SWAPPED;
  const head = (buf[at + CMD_AT + (swapped ? 3 : 0)]! || 1) * CORE_HEADER_BYTES;
  const aux = padded((swapped ? readU32BE(buf, at + AUX_BYTES_AT) : readU32(buf, at + AUX_BYTES_AT)) * rules.auxUnit);
  return Math.min(end - at, head + aux);
}

/**
 * Makes `buf[start .. end)` a stream of complete messages: corrects magic, sizes that do not fit, counters of salts
 * (the first one is `sequence`) and CRCs, and changes nothing else. Returns the number of messages; a rest of less than
 * a core header is left alone.
 */
export function mend(buf: Uint8Array, start: number, end: number, rules: DialectRules, sequence = 0): number {
  let at = start;
  let count = 0;
  while (end - at >= CORE_HEADER_BYTES) {
    at += mendOne(buf, at, end, rules, (sequence + count) & 0xff);
    count++;
  }
  return count;
}

function mendOne(buf: Uint8Array, at: number, end: number, rules: DialectRules, sequence: number): number {
  if (readU16(buf, at) !== MAGIC && readU16(buf, at) !== MAGIC_SWAPPED) writeU16(buf, at, MAGIC);
  const swapped = readU16(buf, at) === MAGIC_SWAPPED;
  // The header is converted to our byte order while it is changed, and back to its own for the CRC.
  if (swapped) swapCoreHeader(buf, at);
  const room = Math.min(MAX_HEADER_BYTES, end - at) >> 6;
  if (buf[at + CMD_AT] === 0) buf[at + CMD_AT] = 1;
  if (buf[at + CMD_AT]! > room) buf[at + CMD_AT] = room;
  const head = buf[at + CMD_AT]! * CORE_HEADER_BYTES;
  const left = end - at - head;
  let aux = padded(readU32(buf, at + AUX_BYTES_AT) * rules.auxUnit);
  if (aux > left || aux > rules.auxLimit) {
    aux = Math.min(left, rules.auxLimit) & ~63;
    // The following bytes are more likely to be another message than aux data.
    if (aux >= CORE_HEADER_BYTES && readU16(buf, at + head) === MAGIC) aux = 0;
    writeU32(buf, at + AUX_BYTES_AT, aux / rules.auxUnit);
  }
  if (aux > 0) writeU32(buf, at + AUX_CRC_AT, crc32c(buf, at + head, at + head + aux));
  buf[at + SALT_AT] = sequence;
  if (swapped) swapCoreHeader(buf, at);
  sealAsSent(buf, at, head, swapped);
  return head + aux;
}

/** Stores hdr_crc of the bytes as sent, in the sender's byte order. */
export function sealAsSent(buf: Uint8Array, at: number, headBytes: number, swapped: boolean): void {
  const crc = headerCrcIn(viewOf(buf), buf, at, headBytes);
  if (!swapped) {
    writeU32(buf, at + HDR_CRC_AT, crc);
    return;
  }
  buf[at + HDR_CRC_AT] = crc >>> 24;
  buf[at + HDR_CRC_AT + 1] = crc >>> 16;
  buf[at + HDR_CRC_AT + 2] = crc >>> 8;
  buf[at + HDR_CRC_AT + 3] = crc;
}
