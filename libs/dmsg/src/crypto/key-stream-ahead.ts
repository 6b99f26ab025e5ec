import { BLOCKS_BYTES } from './chunk-kernel-code.ts';

/**
 * Chunks whose blocks are encrypted at once where fewer are wanted: a call of the block cipher takes 1 µs, whether for one chunk or for
 * these. They are 2.5 KiB, which each direction of a connection keeps.
 */
export const AHEAD_CHUNKS = 32;

/** Encrypted counter blocks of one direction that have been made before they are needed: chunks are worked on in the order of their numbers. */
export class KeyStreamAhead {
  #blocks: Uint8Array | null = null;
  #used = 0;
  #high = 0;
  #low = 0;

  /** Takes over `blocks`, which begin with this chunk's; those of the first `used` chunks are done with. */
  keep(blocks: Uint8Array, high: number, low: number, used: number): void {
    this.#blocks = blocks;
    this.#high = high;
    // May be more than 32 bits hold: then it is not found again, and nothing is lost but a call.
    this.#low = low + used;
    this.#used = used * BLOCKS_BYTES;
  }

  /** Writes the blocks of n chunks, the first of which is this one, to the beginning of `out`. False: they are not here. */
  take(high: number, low: number, n: number, out: Uint8Array): boolean {
    const blocks = this.#blocks;
    const end = this.#used + n * BLOCKS_BYTES;
    if (blocks === null || high !== this.#high || low !== this.#low || end > blocks.length) return false;
    out.set(blocks.subarray(this.#used, end));
    this.#used = end;
    this.#low += n;
    if (end === blocks.length) this.#blocks = null;
    return true;
  }
}
