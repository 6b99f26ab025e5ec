import {
  BATCH_CHUNKS,
  BLOCKS_AT,
  BLOCKS_BYTES,
  CHUNK_BYTES,
  chunkKernelModule,
  KEY_BYTES,
  PLAIN_AT,
  SEALED_AT,
  SEALED_CHUNK_BYTES,
  type Swizzle,
  TABLES_AT,
} from './chunk-kernel-code.ts';
import type { ChunkKey } from './chunk-key.ts';
import { AHEAD_CHUNKS } from './key-stream-ahead.ts';

/** The functions of the module; chunk-kernel-code.ts says what they do. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  counters(iv: number, high: number, low: number, n: number): void;
  seal(n: number): void;
  open(n: number): number;
}

/** The part of the global WebAssembly that is used here; Node's types do not declare it. */
interface WasmEngine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const engine = (globalThis as unknown as { readonly WebAssembly: WasmEngine }).WebAssembly;

/**
 * Seals and opens chunks, up to BATCH_CHUNKS at a time, in memory of its own. The memory is shared by all keys: a
 * caller fills `plain` or `sealed`, runs the kernel and copies the result out without calling other code in between.
 */
export class ChunkKernel {
  /** Plaintext, 64 bytes a chunk. */
  readonly plain: Uint8Array;
  /** Chunks as they travel, ciphertext and tag, 80 bytes a chunk. */
  readonly sealed: Uint8Array;
  readonly #blocks: Uint8Array;
  readonly #keyMemory: Uint8Array;
  readonly #code: KernelExports;
  #key: ChunkKey | null = null;

  constructor(swizzle: Swizzle) {
    const module = new engine.Module(chunkKernelModule(swizzle));
    this.#code = new engine.Instance(module).exports as KernelExports;
    const { buffer } = this.#code.memory;
    this.plain = new Uint8Array(buffer, PLAIN_AT, BATCH_CHUNKS * CHUNK_BYTES);
    this.sealed = new Uint8Array(buffer, SEALED_AT, BATCH_CHUNKS * SEALED_CHUNK_BYTES);
    this.#blocks = new Uint8Array(buffer, BLOCKS_AT, BATCH_CHUNKS * BLOCKS_BYTES);
    this.#keyMemory = new Uint8Array(buffer, TABLES_AT, KEY_BYTES);
  }

  /** `plain` → `sealed`, n ≥ 1 chunks; the first one's counter is high · 2^32 + low. */
  seal(key: ChunkKey, high: number, low: number, n: number): void {
    this.#prepare(key, high, low, n);
    this.#code.seal(n);
  }

  /**
   * `sealed` → `plain`, n ≥ 1 chunks; returns how many, counted from the first, have a tag that verifies. The rest is
   * not decrypted.
   */
  open(key: ChunkKey, high: number, low: number, n: number): number {
    this.#prepare(key, high, low, n);
    return this.#code.open(n);
  }

  #prepare(key: ChunkKey, high: number, low: number, n: number): void {
    if (this.#key !== key) {
      this.#keyMemory.set(key.hashMemory);
      this.#key = key;
    }
    const isFew = n < AHEAD_CHUNKS;
    if (isFew && key.ahead.take(high, low, n, this.#blocks)) return;
    const made = isFew ? AHEAD_CHUNKS : n;
    this.#code.counters(key.iv, high, low, made);
    const blocks = key.encryptBlocks(this.#blocks.subarray(0, made * BLOCKS_BYTES));
    this.#blocks.set(isFew ? blocks.subarray(0, n * BLOCKS_BYTES) : blocks);
    if (isFew) key.ahead.keep(blocks, high, low, n);
  }
}

let shared: ChunkKernel | null = null;

/** The kernel of this thread, made at first use: it takes a few milliseconds and 64 KiB. */
export function chunkKernel(): ChunkKernel {
  shared ??= new ChunkKernel(fastestSwizzle());
  return shared;
}

/** The relaxed swizzle where the engine has it (Node 20 does not). */
export function fastestSwizzle(): Swizzle {
  return engine.validate(chunkKernelModule('i8x16.relaxed_swizzle')) ? 'i8x16.relaxed_swizzle' : 'i8x16.swizzle';
}
