import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';

const TWO_32 = 2 ** 32;

/** A chunk's number in its stream, 64 bits: high · 2^32 + low. */
export interface ChunkCount {
  readonly high: number;
  readonly low: number;
}

/** The 64-bit counter in the IVs of a stream: it starts at 0 and grows by 1 a chunk (protocol.md, "Crypto": Stream). */
export class ChunkCounter implements ChunkCount {
  #high: number;
  #low: number;

  constructor(first: ChunkCount = { high: 0, low: 0 }) {
    this.#high = first.high;
    this.#low = first.low;
  }

  get high(): number {
    return this.#high;
  }

  get low(): number {
    return this.#low;
  }

  /**
   * Call before `chunks` (less than 2^32) chunks are encrypted or decrypted. Using an IV twice would give the key away,
   * so the counter never wraps.
   * @throws DmsgError IVWRAP
   */
  check(chunks: number): void {
    if (this.#high + Math.floor((this.#low + chunks - 1) / TWO_32) >= TWO_32) {
      throw new DmsgError(ErrorCode.IVWRAP, 'chunk counter used up', { chunks });
    }
  }

  /** Counts `chunks` chunks that have been encrypted or decrypted. */
  advance(chunks: number): void {
    const low = this.#low + chunks;
    this.#high += Math.floor(low / TWO_32);
    this.#low = low % TWO_32;
  }
}
