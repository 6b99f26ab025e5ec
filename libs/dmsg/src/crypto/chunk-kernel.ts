import {
  BATCH_CHUNKS,
  BLOCKS_AT,
  BLOCKS_BYTES,
  CHUNK_BYTES,
  chunkKernelModule,
  KEY_BYTES,
  OPENED_AT,
  OPENED_BYTES,
  SEALED_AT,
  SEALED_BYTES,
  SEALED_CHUNK_BYTES,
  type Swizzle,
  TABLES_AT,
  TO_OPEN_AT,
  TO_SEAL_AT,
} from './chunk-kernel-code.ts';
import type { ChunkKey } from './chunk-key.ts';
import type { PlainSink } from './cipher.ts';
import { AHEAD_CHUNKS } from './key-stream-ahead.ts';

/** The functions of the module; chunk-kernel-code.ts says what they do. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  counters(iv: number, high: number, low: number, n: number): void;
  seal(n: number, to: number): void;
  open(n: number, to: number): number;
}

/** The part of the global WebAssembly that is used here; Node's types do not declare it. */
interface WasmEngine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const engine = (globalThis as unknown as { readonly WebAssembly: WasmEngine }).WebAssembly;

/**
 * Seals and opens chunks, up to BATCH_CHUNKS at a time, in memory of its own, which all keys share: a caller fills
 * `toSeal` or `toOpen` and runs the kernel without calling other code in between. The result stays in `sealed` or
 * `opened` until the next caller overwrites it.
 */
export class ChunkKernel {
  /** A batch of plaintext to seal, 64 bytes a chunk. */
  readonly toSeal: Uint8Array;
  /** A batch of chunks to open, ciphertext and tag, 80 bytes a chunk. */
  readonly toOpen: Uint8Array;
  /** Sealed chunks: room for SEALED_CHUNKS and one batch. */
  readonly sealed: Buffer;
  /** Opened chunks: room for OPENED_CHUNKS and one batch. */
  readonly opened: Buffer;
  readonly #blocks: Uint8Array;
  readonly #keyMemory: Uint8Array;
  readonly #code: KernelExports;
  #key: ChunkKey | null = null;
  #isLent = false;

  constructor(swizzle: Swizzle) {
    const module = new engine.Module(chunkKernelModule(swizzle));
    this.#code = new engine.Instance(module).exports as KernelExports;
    const { buffer } = this.#code.memory;
    this.toSeal = new Uint8Array(buffer, TO_SEAL_AT, BATCH_CHUNKS * CHUNK_BYTES);
    this.toOpen = new Uint8Array(buffer, TO_OPEN_AT, BATCH_CHUNKS * SEALED_CHUNK_BYTES);
    this.sealed = Buffer.from(buffer, SEALED_AT, SEALED_BYTES);
    this.opened = Buffer.from(buffer, OPENED_AT, OPENED_BYTES);
    this.#blocks = new Uint8Array(buffer, BLOCKS_AT, BATCH_CHUNKS * BLOCKS_BYTES);
    this.#keyMemory = new Uint8Array(buffer, TABLES_AT, KEY_BYTES);
  }

  /** `toSeal` → chunks `at .. at + n` of `sealed`, n ≥ 1; the first one's counter is high · 2^32 + low. */
  seal(key: ChunkKey, high: number, low: number, n: number, at: number): void {
    this.#prepare(key, high, low, n);
    this.#code.seal(n, SEALED_AT + at * SEALED_CHUNK_BYTES);
  }

  /**
   * `toOpen` → chunks `at .. at + n` of `opened`, n ≥ 1; returns how many, counted from the first, have a tag that
   * verifies. The rest is not decrypted.
   */
  open(key: ChunkKey, high: number, low: number, n: number, at: number): number {
    this.#prepare(key, high, low, n);
    return this.#code.open(n, OPENED_AT + at * CHUNK_BYTES);
  }

  /** A sink is looking at chunks in `opened`: the first OPENED_CHUNKS there must not be overwritten. */
  get isLent(): boolean {
    return this.#isLent;
  }

  /** Gives the sink the plaintext of the first `chunks` chunks in `opened`. */
  lend(chunks: number, sink: PlainSink): void {
    this.#isLent = true;
    try {
      sink.onPlain(this.opened.subarray(0, chunks * CHUNK_BYTES));
    } finally {
      this.#isLent = false;
    }
  }

  /** Loads the key's tables, and writes the encrypted blocks of n chunks. */
  #prepare(key: ChunkKey, high: number, low: number, n: number): void {
    if (this.#key !== key) {
      this.#keyMemory.set(key.hashMemory);
      this.#key = key;
    }
    const isFew = n < AHEAD_CHUNKS;
    if (isFew && key.ahead.take(high, low, n, this.#blocks)) return;
    const made = isFew ? AHEAD_CHUNKS : n;
    this.#code.counters(key.iv, high, low, made);
    const blocks = this.#blocks.subarray(0, made * BLOCKS_BYTES);
    key.encryptBlocks(blocks);
    if (isFew) key.ahead.keep(blocks, high, low, n);
  }
}

let shared: ChunkKernel | null = null;

/** The kernel of this thread, made at first use: it takes a few milliseconds and 448 KiB. */
export function chunkKernel(): ChunkKernel {
  shared ??= new ChunkKernel(fastestSwizzle());
  return shared;
}

/** Whether `memory` is that of this thread's kernel, where the next caller of any sealer or opener may overwrite it. */
export function isKernelMemory(memory: ArrayBufferLike): boolean {
  return shared !== null && memory === shared.sealed.buffer;
}

/** The relaxed swizzle where the engine has it (Node 20 does not). */
export function fastestSwizzle(): Swizzle {
  return engine.validate(chunkKernelModule('i8x16.relaxed_swizzle')) ? 'i8x16.relaxed_swizzle' : 'i8x16.swizzle';
}
