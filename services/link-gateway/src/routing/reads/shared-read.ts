import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { BlockRange } from './block-range.ts';
import type { NodeRead } from './node-blocks.ts';
import type { ReadJoined } from './read-joined.ts';

/**
 * A read that was sent to the node, and the askers that wait for its answer. If there is none, they wait for the answer
 * to the next one of them that asks the node.
 */
export class SharedRead implements NodeRead {
  readonly range: BlockRange;
  readonly key: string;
  /** The payload of BLK_READ. */
  readonly payload: Buffer;
  readonly waiting = new Set<WaitingRead>();
  /** Messages of the answer that have come so far, kept for the askers that wait. */
  kept: Frame[] = [];
  keptBytes = 0;

  constructor({ range, key, payload }: { range: BlockRange; key: string; payload: Buffer }) {
    this.range = range;
    this.key = key;
    this.payload = payload;
  }

  /** Removes and returns the asker that has waited longest; null: none waits. */
  next(): WaitingRead | null {
    for (const waits of this.waiting) {
      waits.leave();
      return waits;
    }
    return null;
  }
}

/** An asker's read that was not sent to the node, because it waits for the answer to another asker's read. */
export class WaitingRead {
  /** The asker's transaction. */
  readonly tx: Transaction;
  /** The node's transaction (or link) that the read would be stacked on. */
  readonly target: Transaction;
  /** Handler of the asker's transaction once the node is asked for it. */
  readonly joined: ReadJoined;
  /** The read that it waits for; null: it has been answered, asked for, or given up. */
  read: SharedRead | null;

  constructor(tx: Transaction, target: Transaction, joined: ReadJoined, read: SharedRead) {
    this.tx = tx;
    this.target = target;
    this.joined = joined;
    this.read = read;
    read.waiting.add(this);
  }

  /** Ends the wait. */
  leave(): void {
    this.read?.waiting.delete(this);
    this.read = null;
  }
}
