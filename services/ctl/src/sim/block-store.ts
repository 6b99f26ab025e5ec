/** Why a range cannot be read or written. `full`: the budget of blocks is used up. */
export type RangeFault = 'unaligned' | 'outside' | 'full';

/**
 * Blocks that may still be written, shared by all media of a process, so that writes of other peers cannot use up its
 * memory.
 */
export interface BlockBudget {
  blocks: number;
}

export interface BlockStoreOptions {
  /** Size of the medium, a multiple of `blockBytes`. */
  readonly bytes: number;
  readonly blockBytes: number;
}

/**
 * A sparse medium in memory: only written blocks take memory, all others read as zeros. Offsets are u64 in two unsigned
 * halves, as in messages.
 */
export class BlockStore {
  readonly blockBytes: number;
  readonly #bytes: number;
  readonly #budget: BlockBudget;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor({ bytes, blockBytes }: BlockStoreOptions, budget: BlockBudget) {
    this.#bytes = bytes;
    this.blockBytes = blockBytes;
    this.#budget = budget;
  }

  /** Blocks that take memory. */
  get blocksHeld(): number {
    return this.#blocks.size;
  }

  /** What is wrong with a range, null if nothing is. An empty range is allowed. */
  check(offsetLo: number, offsetHi: number, bytes: number): Exclude<RangeFault, 'full'> | null {
    // Above 2^53 it is not exact, but then it is far outside in any case.
    const offset = offsetHi * 2 ** 32 + offsetLo;
    if (offset + bytes > this.#bytes) return 'outside';
    return offset % this.blockBytes === 0 && bytes % this.blockBytes === 0 ? null : 'unaligned';
  }

  /** A copy of the bytes in a range that `check` has accepted. */
  read(offsetLo: number, offsetHi: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    const first = this.#blockAt(offsetLo, offsetHi);
    for (let n = 0; n * this.blockBytes < bytes; n++) {
      const block = this.#blocks.get(first + n);
      if (block !== undefined) data.set(block, n * this.blockBytes);
    }
    return data;
  }

  /** Copies `data` to a range that `check` has accepted. `full`: nothing was written. */
  write(offsetLo: number, offsetHi: number, data: Uint8Array): 'full' | null {
    const first = this.#blockAt(offsetLo, offsetHi);
    const blocks = data.length / this.blockBytes;
    let added = 0;
    for (let n = 0; n < blocks; n++) if (!this.#blocks.has(first + n)) added++;
    if (added > this.#budget.blocks) return 'full';
    this.#budget.blocks -= added;
    for (let n = 0; n < blocks; n++) {
      // `slice` of a Buffer would share its memory.
      this.#blocks.set(first + n, new Uint8Array(data.subarray(n * this.blockBytes, (n + 1) * this.blockBytes)));
    }
    return null;
  }

  /** Frees the blocks in a range that `check` has accepted; they read as zeros then. */
  free(offsetLo: number, offsetHi: number, bytes: number): void {
    const first = this.#blockAt(offsetLo, offsetHi);
    const end = first + bytes / this.blockBytes;
    // The range may be 4 GiB: the loop goes over the held blocks if those are fewer.
    if (end - first > this.#blocks.size) {
      for (const at of this.#blocks.keys()) if (at >= first && at < end) this.#drop(at);
    } else {
      for (let at = first; at < end; at++) this.#drop(at);
    }
  }

  #drop(at: number): void {
    if (this.#blocks.delete(at)) this.#budget.blocks++;
  }

  #blockAt(offsetLo: number, offsetHi: number): number {
    return (offsetHi * 2 ** 32 + offsetLo) / this.blockBytes;
  }
}
