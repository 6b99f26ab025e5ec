import { assembleModule, CodeWriter, I32, I64, V128 } from './wasm-assembler.ts';

/** Bytes of plaintext in a chunk (protocol.md, "Crypto": Stream). */
export const CHUNK_BYTES = 64;
/** Bytes of a chunk on the wire: the ciphertext and its tag. */
export const SEALED_CHUNK_BYTES = 80;
/** Bytes of AES blocks that one chunk needs: the block that masks the tag, then four blocks of key stream. */
export const BLOCKS_BYTES = 80;
/**
 * Chunks that the kernel takes at once. Their buffers (56 KiB) fit in the processor's second-level cache, and there are
 * enough of them to make the cost of a call of the block cipher small (measured: docs/decisions/005-gcm-chunks.md).
 */
export const BATCH_CHUNKS = 256;

/** Opened chunks that the kernel has room for: more than a read completes, which is 128 KiB at most. */
export const OPENED_CHUNKS = 7 * BATCH_CHUNKS;
/**
 * Sealed chunks that the kernel has room for, of 160 KiB of plaintext: the messages of one read, and one that the read
 * before has cut.
 */
export const SEALED_CHUNKS = 10 * BATCH_CHUNKS;

/** The layout of the kernel's memory: tables, the batch to work on, AES blocks, opened and sealed chunks. */
export const TABLES_AT = 0;
/**
 * A table of 16 bytes (one for each value of a nibble) for each of 16 bytes of a product, 4 blocks of a chunk and 2
 * nibbles of a byte.
 */
export const TABLES_BYTES = 16 * 16 * 4 * 2;
/** The product of the length block, which every chunk's hash contains. */
export const LENGTH_TERM_AT = TABLES_AT + TABLES_BYTES;
export const KEY_BYTES = TABLES_BYTES + 16;
/** The input: a batch of plaintext to seal, and a batch of ciphertext with tags to open. */
export const TO_SEAL_AT = 4096;
export const TO_OPEN_AT = TO_SEAL_AT + BATCH_CHUNKS * CHUNK_BYTES;
export const BLOCKS_AT = TO_OPEN_AT + BATCH_CHUNKS * SEALED_CHUNK_BYTES;
/**
 * The output. Behind the room for OPENED_CHUNKS and SEALED_CHUNKS is one batch more, for results that are copied out.
 */
export const OPENED_AT = BLOCKS_AT + BATCH_CHUNKS * BLOCKS_BYTES;
export const OPENED_BYTES = (OPENED_CHUNKS + BATCH_CHUNKS) * CHUNK_BYTES;
export const SEALED_AT = OPENED_AT + OPENED_BYTES;
export const SEALED_BYTES = (SEALED_CHUNKS + BATCH_CHUNKS) * SEALED_CHUNK_BYTES;
const END = SEALED_AT + SEALED_BYTES;

/** Offset of the table for byte `out` of the product, block 0..3 of a chunk, low or high nibble of its bytes. */
export function tableAt(out: number, block: number, nibble: 'low' | 'high'): number {
  return ((out * 4 + block) * 2 + (nibble === 'high' ? 1 : 0)) * 16;
}

/**
 * Two instructions that look up bytes of a table by index. They differ only for indices above 15, which do not occur
 * here. The relaxed one is faster because it does not have to define a result for those; older engines do not have it.
 */
export type Swizzle = 'i8x16.swizzle' | 'i8x16.relaxed_swizzle';

const SIXTEEN: readonly number[] = [...new Array(16).keys()];
/** Shuffles that move every byte of lo:hi (32 bytes, first to last) to the next higher position. */
const SHIFT_LOW = SIXTEEN.map((i) => (i === 0 ? 16 : i - 1));
const SHIFT_HIGH = SIXTEEN.map((i) => i + 15);
const ZERO: readonly number[] = new Array(16).fill(0);

/**
 * The module of the chunk kernel. Exports:
 * * `counters(iv, high, low, n)` writes the counter blocks of n chunks at BLOCKS_AT: IV (as the little-endian number of
 *   its bytes), 64-bit chunk counter, block number 1..5. Once the caller has encrypted them in place, they are the mask
 *   of the tag and the key stream of each chunk.
 * * `seal(n, to)`: n chunks at TO_SEAL_AT and their blocks → ciphertext and tags at address `to`.
 * * `open(n, to)`: n chunks at TO_OPEN_AT and their blocks → plaintext at address `to`; returns how many chunks,
 *   counted from the first, have a tag that verifies.
 *
 * The hash (NIST SP 800-38D, 6.4) of a chunk of blocks D0..D3 is D0·H^5 + D1·H^4 + D2·H^3 + D3·H^2 + L·H, linear in the
 * bits of the Ds; L is always the same. A product is the sum over the 16 bytes of D of (byte · H^n) · x^(8 · position).
 * For one byte of (byte · H^n) and all 16 positions at once, one swizzle looks up what the nibbles of D contribute. No
 * table is read at an address that depends on data, so the time taken does not depend on data either. The sums for the
 * 16 bytes are added up, each one byte further (Horner), and reduced once.
 */
export function chunkKernelModule(swizzle: Swizzle): Uint8Array {
  return assembleModule(Math.ceil(END / 65536), [
    { name: 'counters', params: [I32, I32, I32, I32], results: [], code: countersCode() },
    { name: 'seal', params: [I32, I32], results: [], code: sealCode(swizzle) },
    { name: 'open', params: [I32, I32], results: [I32], code: openCode(swizzle) },
  ]);
}

function countersCode(): CodeWriter {
  const code = new CodeWriter(4);
  const [iv, high, low, left] = [0, 1, 2, 3];
  const at = code.local(I32);
  const counter = code.local(I64);
  const inBlock = code.local(V128);
  const numbered = [1, 2, 3, 4, 5].map((block) => {
    const local = code.local(V128);
    code.v128(ZERO.with(15, block));
    code.get(iv);
    code.replaceLane32(0);
    code.set(local);
    return local;
  });
  code.get(high);
  code.scalar('i64.extend_i32_u');
  code.i64(32);
  code.scalar('i64.shl');
  code.get(low);
  code.scalar('i64.extend_i32_u');
  code.scalar('i64.or');
  code.set(counter);
  code.repeatWhile(() => {
    code.get(counter);
    code.vector('i64x2.splat');
    code.v128(ZERO);
    // The counter is big-endian in the block: its bytes are reversed. The other bytes are zero.
    code.shuffle([16, 16, 16, 16, 7, 6, 5, 4, 3, 2, 1, 0, 16, 16, 16, 16]);
    code.set(inBlock);
    for (const [i, local] of numbered.entries()) {
      code.get(at);
      code.get(local);
      code.get(inBlock);
      code.vector('v128.xor');
      code.store(BLOCKS_AT + 16 * i);
    }
    code.get(counter);
    code.i64(1);
    code.scalar('i64.add');
    code.set(counter);
    advance(code, at, BLOCKS_BYTES);
    countDown(code, left);
  });
  return code;
}

function sealCode(swizzle: Swizzle): CodeWriter {
  const code = new CodeWriter(2);
  const [left, sealedAt] = [0, 1];
  const [plainAt, blocksAt] = [code.local(I32), code.local(I32)];
  const hash = new HashLocals(code);
  code.repeatWhile(() => {
    for (let block = 0; block < 4; block++) {
      code.get(sealedAt);
      code.get(plainAt);
      code.load(TO_SEAL_AT + 16 * block);
      code.get(blocksAt);
      code.load(BLOCKS_AT + 16 + 16 * block);
      code.vector('v128.xor');
      code.tee(hash.sum);
      code.store(16 * block);
      hash.take(block);
    }
    code.get(sealedAt);
    hash.finish(swizzle);
    code.get(blocksAt);
    code.load(BLOCKS_AT);
    code.vector('v128.xor');
    code.store(CHUNK_BYTES);
    advance(code, plainAt, CHUNK_BYTES);
    advance(code, blocksAt, BLOCKS_BYTES);
    advance(code, sealedAt, SEALED_CHUNK_BYTES);
    countDown(code, left);
  });
  return code;
}

function openCode(swizzle: Swizzle): CodeWriter {
  const code = new CodeWriter(2);
  const [left, plainAt] = [0, 1];
  const [sealedAt, verified] = [code.local(I32), code.local(I32)];
  const hash = new HashLocals(code);
  // A sealed chunk and its AES blocks have the same size, so one offset serves for both.
  code.repeatWhile(() => {
    for (let block = 0; block < 4; block++) {
      code.get(sealedAt);
      code.load(TO_OPEN_AT + 16 * block);
      code.set(hash.sum);
      hash.take(block);
    }
    // All 16 bytes of the tag are compared at once, so the time taken does not show which byte differs.
    hash.finish(swizzle);
    code.get(sealedAt);
    code.load(BLOCKS_AT);
    code.vector('v128.xor');
    code.get(sealedAt);
    code.load(TO_OPEN_AT + CHUNK_BYTES);
    code.vector('v128.xor');
    code.vector('v128.any_true');
    code.when(() => {
      code.get(verified);
      code.scalar('return');
    });
    for (let block = 0; block < 4; block++) {
      code.get(plainAt);
      code.get(sealedAt);
      code.load(TO_OPEN_AT + 16 * block);
      code.get(sealedAt);
      code.load(BLOCKS_AT + 16 + 16 * block);
      code.vector('v128.xor');
      code.store(16 * block);
    }
    advance(code, plainAt, CHUNK_BYTES);
    advance(code, sealedAt, SEALED_CHUNK_BYTES);
    advance(code, verified, 1);
    countDown(code, left);
  });
  code.get(verified);
  return code;
}

/** Writes the code that computes the hash of one chunk, and has the local variables for it. */
class HashLocals {
  readonly sum: number;
  readonly #code: CodeWriter;
  readonly #low: number;
  readonly #high: number;
  readonly #lowNibbles: readonly number[];
  readonly #highNibbles: readonly number[];

  constructor(code: CodeWriter) {
    this.#code = code;
    this.sum = code.local(V128);
    this.#low = code.local(V128);
    this.#high = code.local(V128);
    this.#lowNibbles = [0, 1, 2, 3].map(() => code.local(V128));
    this.#highNibbles = [0, 1, 2, 3].map(() => code.local(V128));
  }

  /** Reads the block of ciphertext in `sum` and splits it into nibbles for the product. */
  take(block: number): void {
    const code = this.#code;
    code.get(this.sum);
    lowNibbles(code);
    code.set(this.#lowNibbles[block]!);
    code.get(this.sum);
    highNibbles(code);
    code.set(this.#highNibbles[block]!);
  }

  /** Leaves the hash of the four blocks and the length on the stack. */
  finish(swizzle: Swizzle): void {
    const code = this.#code;
    this.#product(15, swizzle);
    code.set(this.#low);
    code.v128(ZERO);
    code.set(this.#high);
    for (let out = 14; out >= 0; out--) {
      code.get(this.#low);
      code.get(this.#high);
      code.shuffle(SHIFT_HIGH);
      code.set(this.#high);
      code.get(this.#low);
      code.v128(ZERO);
      code.shuffle(SHIFT_LOW);
      this.#product(out, swizzle);
      code.vector('v128.xor');
      code.set(this.#low);
    }
    this.#reduce(swizzle);
  }

  /** Leaves byte `out` of (byte · H^n) on the stack, for each of the 16 positions, summed over the four blocks. */
  #product(out: number, swizzle: Swizzle): void {
    const code = this.#code;
    for (let block = 0; block < 4; block++) {
      for (const nibble of ['low', 'high'] as const) {
        code.i32(0);
        code.load(TABLES_AT + tableAt(out, block, nibble));
        code.get((nibble === 'low' ? this.#lowNibbles : this.#highNibbles)[block]!);
        code.vector(swizzle);
        if (block > 0 || nibble === 'high') code.vector('v128.xor');
      }
    }
  }

  /**
   * Reduces the 256-bit sum in low:high to 128 bits. x^128 = 1 + x + x^2 + x^7, so byte 16 + i of the sum is added,
   * multiplied by that, at byte i. That product has 15 bits and reaches into byte i + 1; as the last byte of `high` is
   * 0, none reaches past the end.
   */
  #reduce(swizzle: Swizzle): void {
    const code = this.#code;
    const [low, high] = [this.#lowNibbles[0]!, this.#highNibbles[0]!];
    code.get(this.#high);
    lowNibbles(code);
    code.set(low);
    code.get(this.#high);
    highNibbles(code);
    code.set(high);
    const lookUp = (byte: 'first' | 'second') => {
      code.v128(REDUCTION[byte].low);
      code.get(low);
      code.vector(swizzle);
      code.v128(REDUCTION[byte].high);
      code.get(high);
      code.vector(swizzle);
      code.vector('v128.xor');
    };
    lookUp('second');
    code.v128(ZERO);
    code.shuffle(SHIFT_LOW);
    lookUp('first');
    code.vector('v128.xor');
    code.get(this.#low);
    code.vector('v128.xor');
    code.i32(0);
    code.load(LENGTH_TERM_AT);
    code.vector('v128.xor');
  }
}

/**
 * For each value of a nibble (low or high in its byte): the first or the second byte of that byte times 1 + x + x^2 +
 * x^7.
 */
const REDUCTION = {
  first: { low: reductionTable(0, 8), high: reductionTable(4, 8) },
  second: { low: reductionTable(0, 0), high: reductionTable(4, 0) },
} as const;

function reductionTable(nibbleShift: 0 | 4, byteShift: 0 | 8): readonly number[] {
  return SIXTEEN.map((nibble) => {
    const value = nibble << (8 + nibbleShift);
    const product = value ^ (value >> 1) ^ (value >> 2) ^ (value >> 7);
    return (product >> byteShift) & 0xff;
  });
}

function lowNibbles(code: CodeWriter): void {
  code.v128(new Array(16).fill(0x0f));
  code.vector('v128.and');
}

function highNibbles(code: CodeWriter): void {
  code.i32(4);
  code.vector('i16x8.shr_u');
  lowNibbles(code);
}

function advance(code: CodeWriter, local: number, by: number): void {
  code.get(local);
  code.i32(by);
  code.scalar('i32.add');
  code.set(local);
}

/** Decrements the local and leaves its value on the stack, as the condition of `repeatWhile`. */
function countDown(code: CodeWriter, local: number): void {
  code.get(local);
  code.i32(1);
  code.scalar('i32.sub');
  code.tee(local);
}
