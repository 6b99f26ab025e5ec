import { type BlockRange, EVERYTHING, overlap } from './block-range.ts';
import { MAX_SHARED_READS, MAX_WRITE_RANGES } from './limits.ts';

/** A read that a node has been sent, and that others may wait for. */
export interface NodeRead {
  readonly range: BlockRange;
  /** All that it asks for; reads that may wait for each other have the same. */
  readonly key: string;
}

/**
 * What a node has been sent about its blocks and has not answered. It says which reads may wait for which: a read may wait for another one
 * with the same key that was sent before it, has brought no answer yet, and beside which no overlapping write was under way, from when it
 * was sent until the other one came. So whoever waits gets what the node could have answered him, too.
 */
export class NodeBlocks<Read extends NodeRead = NodeRead> {
  /** Reads that others may wait for. */
  readonly #reads = new Map<string, Read>();
  /** Writes under way, by their transactions. */
  readonly #writes = new Map<object, BlockRange>();
  /** Those of them that may write anywhere. */
  readonly #everywhere = new Set<object>();

  /** Reads that others may wait for. */
  get reads(): number {
    return this.#reads.size;
  }

  /** Writes under way. */
  get writes(): number {
    return this.#writes.size + this.#everywhere.size;
  }

  /** The read that one with this key may wait for; null: it is to be sent. */
  find(key: string): Read | null {
    return this.#reads.get(key) ?? null;
  }

  /** The read is sent. True: others may wait for it. */
  readSent(read: Read): boolean {
    if (this.#reads.size >= MAX_SHARED_READS || this.#reads.has(read.key) || this.#isWritten(read.range)) return false;
    this.#reads.set(read.key, read);
    return true;
  }

  /** Nobody may wait for the read from now on; harmless if nobody may anyway. */
  seal(read: Read): void {
    if (this.#reads.get(read.key) === read) this.#reads.delete(read.key);
  }

  /** Something that may write is sent; a second time for the same transaction: it may write anywhere. */
  writeSent(by: object, range: BlockRange): void {
    const isKnown = this.#writes.delete(by) || this.#everywhere.has(by);
    if (isKnown || range === EVERYTHING || this.#writes.size >= MAX_WRITE_RANGES) {
      this.#everywhere.add(by);
      this.#reads.clear();
      return;
    }
    this.#writes.set(by, range);
    for (const read of this.#reads.values()) if (overlap(read.range, range)) this.#reads.delete(read.key);
  }

  /** It is over; harmless if it is none that was sent. */
  writeOver(by: object): void {
    if (!this.#writes.delete(by)) this.#everywhere.delete(by);
  }

  #isWritten(range: BlockRange): boolean {
    if (this.#everywhere.size > 0) return true;
    for (const written of this.#writes.values()) if (overlap(written, range)) return true;
    return false;
  }
}
