import { type BlockRange, EVERYTHING, overlap } from './block-range.ts';
import { MAX_SHARED_READS, MAX_WRITE_RANGES } from './limits.ts';

/** A read that was sent to a node and whose answer others may wait for. */
export interface NodeRead {
  readonly range: BlockRange;
  /** All that the read asks for: reads with the same key may wait for each other. */
  readonly key: string;
}

/**
 * The reads and writes that were sent to a node and are not answered yet; decides which reads may wait for which. A
 * read may wait for an earlier one with the same key that has brought no answer yet, if no overlapping write was under
 * way from the moment when the earlier one was sent until now. So an asker that waits gets only an answer that the node
 * could have given to its own read.
 */
export class NodeBlocks<Read extends NodeRead = NodeRead> {
  /** Reads that others may wait for. */
  readonly #reads = new Map<string, Read>();
  /** Writes under way, by their transactions. */
  readonly #writes = new Map<object, BlockRange>();
  /** Writes under way that may write anywhere. */
  readonly #everywhere = new Set<object>();

  /** Number of reads that others may wait for. */
  get reads(): number {
    return this.#reads.size;
  }

  /** Number of writes under way. */
  get writes(): number {
    return this.#writes.size + this.#everywhere.size;
  }

  /** The read that a new one with this key may wait for; null: the new one must be sent. */
  find(key: string): Read | null {
    return this.#reads.get(key) ?? null;
  }

  /** The read is sent to the node. True: others may wait for it. */
  readSent(read: Read): boolean {
    if (this.#reads.size >= MAX_SHARED_READS || this.#reads.has(read.key) || this.#isWritten(read.range)) return false;
    this.#reads.set(read.key, read);
    return true;
  }

  /** No further read may wait for this one from now on. Does nothing if that is so already. */
  seal(read: Read): void {
    if (this.#reads.get(read.key) === read) this.#reads.delete(read.key);
  }

  /**
   * A message that may write is sent in transaction `by`. At the second message of one transaction it counts as a write
   * of everything.
   */
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

  /** The transaction is over. Does nothing if no write was sent in it. */
  writeOver(by: object): void {
    if (!this.#writes.delete(by)) this.#everywhere.delete(by);
  }

  #isWritten(range: BlockRange): boolean {
    if (this.#everywhere.size > 0) return true;
    for (const written of this.#writes.values()) if (overlap(written, range)) return true;
    return false;
  }
}
