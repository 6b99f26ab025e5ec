import { crc32c, NATIVE_CRC_BYTES } from './crc.ts';
import { effect } from './crc-tables.ts';

// The CRC of a header (protocol.md, "Message": hdr_crc), computed in words of a view and with its steps written out:
// every message needs it when it is received and when it is sent. With one function call a step it takes a third
// longer.

/** The core header's size, and the unit of what follows it. */
const BLOCK_BYTES = 64;

/** Where the words that a hop may rewrite begin, and how many bytes they are: salt, msgid, circuit, target, cmd. */
const SALT_AT = 4;
const CHANGED_BYTES = 32;

/** Where the words begin that are followed by hdr_crc and are not a multiple of 16 bytes. */
const LAST_WORDS_AT = 48;

/**
 * The value of hdr_crc, unsigned: the CRC of the whole extended header at `off`, with the field itself (the last four
 * of the first 64 bytes) taken as 0. `view` shows the same bytes as `buf`; `headBytes` is a multiple of 64.
 */
export function headerCrcIn(view: DataView, buf: Uint8Array, off: number, headBytes: number): number {
  const core = coreHeaderCrc(view, off);
  if (headBytes === BLOCK_BYTES) return core;
  const end = off + headBytes;
  if (headBytes - BLOCK_BYTES >= NATIVE_CRC_BYTES) return crc32c(buf, off + BLOCK_BYTES, end, core);
  return crcOfWords(view, off + BLOCK_BYTES, end, core);
}

function coreHeaderCrc(view: DataView, off: number): number {
  const a = ~crcOfWords(view, off, off + LAST_WORDS_AT, 0) ^ view.getInt32(off + LAST_WORDS_AT, true);
  const b = view.getInt32(off + LAST_WORDS_AT + 4, true);
  const c = view.getInt32(off + LAST_WORDS_AT + 8, true);
  let r = effect(15, a & 0xff) ^ effect(14, (a >>> 8) & 0xff) ^ effect(13, (a >>> 16) & 0xff) ^ effect(12, a >>> 24);
  if ((b | c) !== 0) {
    r ^=
      effect(11, b & 0xff) ^
      effect(10, (b >>> 8) & 0xff) ^
      effect(9, (b >>> 16) & 0xff) ^
      effect(8, b >>> 24) ^
      effect(7, c & 0xff) ^
      effect(6, (c >>> 8) & 0xff) ^
      effect(5, (c >>> 16) & 0xff) ^
      effect(4, c >>> 24);
  }
  return ~r >>> 0;
}

/** Continues `crc` over the bytes from `start` to `end`, a multiple of 16. */
function crcOfWords(view: DataView, start: number, end: number, crc: number): number {
  let r = ~crc;
  for (let at = start; at < end; at += 16) {
    const a = r ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    r = effect(15, a & 0xff) ^ effect(14, (a >>> 8) & 0xff) ^ effect(13, (a >>> 16) & 0xff) ^ effect(12, a >>> 24);
    // Zero bytes have no effect of their own, and most words of most headers are 0.
    if ((b | c | d) !== 0) {
      r ^=
        effect(11, b & 0xff) ^
        effect(10, (b >>> 8) & 0xff) ^
        effect(9, (b >>> 16) & 0xff) ^
        effect(8, b >>> 24) ^
        effect(7, c & 0xff) ^
        effect(6, (c >>> 8) & 0xff) ^
        effect(5, (c >>> 16) & 0xff) ^
        effect(4, c >>> 24) ^
        effect(3, d & 0xff) ^
        effect(2, (d >>> 8) & 0xff) ^
        effect(1, (d >>> 16) & 0xff) ^
        effect(0, d >>> 24);
    }
  }
  return ~r >>> 0;
}

/**
 * What to xor into hdr_crc when a hop rewrites words of the core header: `salt` to `cmd` are old ^ new. A CRC is
 * linear, so only the differences count. This is half the work of computing it anew; and if a bit of the header has
 * flipped in memory since it was verified, hdr_crc stays wrong and the next hop notices. `headBytes`: the header's
 * size; what follows the core header is unchanged.
 */
export function headerCrcChange(
  headBytes: number,
  salt: number,
  msgidLo: number,
  msgidHi: number,
  circuitLo: number,
  circuitHi: number,
  targetLo: number,
  targetHi: number,
  cmd: number,
): number {
  let r = changeOfWord(0, salt) ^ changeOfWord(1, msgidLo) ^ changeOfWord(3, circuitLo);
  // The upper halves of ids are seldom different, and cmd hardly ever is.
  if ((msgidHi | circuitHi) !== 0) r ^= changeOfWord(2, msgidHi) ^ changeOfWord(4, circuitHi);
  if ((targetLo | targetHi) !== 0) r ^= changeOfWord(5, targetLo) ^ changeOfWord(6, targetHi);
  if (cmd !== 0) r ^= changeOfWord(7, cmd);
  for (let left = headBytes - BLOCK_BYTES; left > 0; left -= BLOCK_BYTES) {
    r =
      overBlock(0, r & 0xff) ^
      overBlock(1, (r >>> 8) & 0xff) ^
      overBlock(2, (r >>> 16) & 0xff) ^
      overBlock(3, r >>> 24);
  }
  return r;
}

/**
 * The CRC register after the core header, by each byte of the eight words from the salt on that may be different, all
 * else being 0: eight times four tables of 256.
 */
const CHANGES = makeChanges();

/** `word`: which of the eight; `change`: its difference. */
function changeOfWord(word: number, change: number): number {
  const tables = word << 10;
  return (
    (CHANGES[tables + (change & 0xff)] ?? 0) ^
    (CHANGES[tables + 256 + ((change >>> 8) & 0xff)] ?? 0) ^
    (CHANGES[tables + 512 + ((change >>> 16) & 0xff)] ?? 0) ^
    (CHANGES[tables + 768 + (change >>> 24)] ?? 0)
  );
}

function makeChanges(): Int32Array {
  const header = new Uint8Array(BLOCK_BYTES);
  const unchanged = crc32c(header, 0, BLOCK_BYTES);
  const tables = new Int32Array(CHANGED_BYTES * 256);
  for (let byte = 0; byte < CHANGED_BYTES; byte++) {
    for (let n = 0; n < 256; n++) {
      header[SALT_AT + byte] = n;
      tables[256 * byte + n] = crc32c(header, 0, BLOCK_BYTES) ^ unchanged;
    }
    header[SALT_AT + byte] = 0;
  }
  return tables;
}

/** The CRC register after 64 zero bytes, as the xor of one entry for each of its four bytes: four tables of 256. */
const OVER_BLOCK = makeOverBlock();

function overBlock(table: number, byte: number): number {
  return OVER_BLOCK[(table << 8) + byte] ?? 0;
}

function makeOverBlock(): Int32Array {
  const tables = new Int32Array(4 * 256);
  const zeros = new Uint8Array(BLOCK_BYTES);
  for (let byte = 0; byte < 4; byte++) {
    // crc32c inverts its register before and after.
    for (let n = 0; n < 256; n++) tables[256 * byte + n] = ~crc32c(zeros, 0, BLOCK_BYTES, ~(n << (8 * byte)));
  }
  return tables;
}
