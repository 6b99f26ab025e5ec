import { type Cipheriv, createCipheriv } from 'node:crypto';
import { giveBackAny } from '../wire/give-back.ts';
import { KEY_BYTES, LENGTH_TERM_AT, TABLES_AT, tableAt } from './chunk-kernel-code.ts';
import { add, type Gf128, gf128FromBytes, gf128ToBytes, multiply, timesX } from './gf128.ts';
import { KeyStreamAhead } from './key-stream-ahead.ts';
import { SESSION_IV_AT, SESSION_KEY_BYTES } from './session.ts';

/** The length block of a chunk: no additional data, 512 bits of ciphertext (NIST SP 800-38D, 7.1). */
const LENGTHS: Gf128 = [0, 0, 0, 512];

/**
 * The key of one direction of a connection, prepared for the chunk kernel. Making one takes about 150 µs, little beside
 * the handshake's RSA.
 */
export class ChunkKey {
  /** The fixed part of the IV: the number that a little-endian machine reads from its four bytes. */
  readonly iv: number;
  /**
   * The kernel's tables for the powers of the hash key, and the product of the length block, laid out as in the
   * kernel's memory.
   */
  readonly hashMemory: Uint8Array;
  readonly ahead = new KeyStreamAhead();
  // ECB has no state from block to block, so one cipher object serves for the whole life of a connection. Making one
  // costs 10 µs, more than sealing ten chunks.
  readonly #cipher: Cipheriv;

  /** @param session 64 bytes of material, of which the first 36 are used. */
  constructor(session: Uint8Array) {
    this.#cipher = createCipheriv('aes-256-ecb', session.subarray(0, SESSION_KEY_BYTES), null);
    this.#cipher.setAutoPadding(false);
    this.iv = new DataView(session.buffer, session.byteOffset).getInt32(SESSION_IV_AT, true);
    const hashKey = new Uint8Array(16);
    this.encryptBlocks(hashKey);
    this.hashMemory = hashMemory(gf128FromBytes(hashKey));
  }

  /** Encrypts blocks of 16 bytes each in place, every block independently of the others (ECB). */
  encryptBlocks(blocks: Uint8Array): void {
    const encrypted = this.#cipher.update(blocks);
    blocks.set(encrypted);
    // node:crypto always allocates its output, 20 KiB for a batch.
    giveBackAny(encrypted);
  }
}

function hashMemory(h: Gf128): Uint8Array {
  const memory = new Uint8Array(KEY_BYTES);
  let power = h;
  memory.set(gf128ToBytes(multiply(LENGTHS, h)), LENGTH_TERM_AT - TABLES_AT);
  // The last block of a chunk is multiplied by H^2, the first by H^5.
  for (let block = 3; block >= 0; block--) {
    power = multiply(power, h);
    // The highest bit of a byte is the coefficient of x^0 (gf128.ts).
    const xs = [power];
    for (let next = timesX(power); xs.length < 8; next = timesX(next)) xs.push(next);
    for (let nibble = 0; nibble < 16; nibble++) {
      fillTable(memory, block, 'high', nibble, xs.slice(0, 4));
      fillTable(memory, block, 'low', nibble, xs.slice(4));
    }
  }
  return memory;
}

/** Fills the tables with the contribution of one value of a nibble to each byte of the product. */
function fillTable(
  memory: Uint8Array,
  block: number,
  half: 'low' | 'high',
  nibble: number,
  xs: readonly Gf128[],
): void {
  let product: Gf128 = [0, 0, 0, 0];
  for (const [bit, x] of xs.entries()) if (nibble & (8 >> bit)) product = add(product, x);
  const bytes = gf128ToBytes(product);
  for (const [out, byte] of bytes.entries()) memory[tableAt(out, block, half) + nibble] = byte;
}
