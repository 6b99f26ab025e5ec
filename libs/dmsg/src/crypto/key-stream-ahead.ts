import { BLOCKS_BYTES } from './chunk-kernel-code.ts';

/**
 * Chunks whose blocks are encrypted in one call where fewer are wanted: a call of the block cipher takes 1 µs for one
 * chunk as well as for 32. Their blocks take 2.5 KiB in each direction of a connection.
 */
export const AHEAD_CHUNKS = 32;

/**
 * Encrypted counter blocks of one direction, made before they are needed. That is possible because chunks are sealed
 * and opened in the order of their numbers.
 */
export class KeyStreamAhead {
  /** Allocated at first use, and kept. The blocks in it that have not been used are in #used .. #end. */
  #blocks: Uint8Array | null = null;
  #used = 0;
  #end = 0;
  #high = 0;
  #low = 0;

  /**
   * Copies the unused ones of `blocks`, which begin with those of chunk high · 2^32 + low; the blocks of the first
   * `used` chunks have been used.
   */
  keep(blocks: Uint8Array, high: number, low: number, used: number): void {
    this.#blocks ??= new Uint8Array(AHEAD_CHUNKS * BLOCKS_BYTES);
    const left = blocks.subarray(used * BLOCKS_BYTES);
    this.#blocks.set(left);
    this.#used = 0;
    this.#end = left.length;
    this.#high = high;
    // May exceed 32 bits. Then `take` finds no match and the caller encrypts the blocks anew.
    this.#low = low + used;
  }

  /**
   * Writes the blocks of n chunks, the first of which is chunk high · 2^32 + low, to the beginning of `out`. False:
   * they are not kept here.
   */
  take(high: number, low: number, n: number, out: Uint8Array): boolean {
    const blocks = this.#blocks;
    const end = this.#used + n * BLOCKS_BYTES;
    if (blocks === null || high !== this.#high || low !== this.#low || end > this.#end) return false;
    out.set(blocks.subarray(this.#used, end));
    this.#used = end;
    this.#low += n;
    return true;
  }
}
