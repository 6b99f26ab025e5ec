import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { BlockRange } from './block-range.ts';
import type { NodeRead } from './node-blocks.ts';
import type { ReadJoined } from './read-joined.ts';

/** A read that the node is asked for, and those who wait for its answer. */
export class SharedRead implements NodeRead {
  readonly range: BlockRange;
  readonly key: string;
  /** The payload of BLK_READ. */
  readonly payload: Buffer;
  readonly waiting = new Set<WaitingRead>();
  /** Messages of the answer that have come, for those who wait. */
  kept: Frame[] = [];
  keptBytes = 0;

  constructor({ range, key, payload }: { range: BlockRange; key: string; payload: Buffer }) {
    this.range = range;
    this.key = key;
    this.payload = payload;
  }
}

/** A transaction in which somebody reads, and for which the node has not been asked. */
export class WaitingRead {
  /** The asker's. */
  readonly tx: Transaction;
  /** What it would run on at the node. */
  readonly target: Transaction;
  /** Handler of the asker's transaction once the node is asked for it. */
  readonly joined: ReadJoined;
  /** What it waits for; null: not any more, it has its answer. */
  read: SharedRead | null;

  constructor(tx: Transaction, target: Transaction, joined: ReadJoined, read: SharedRead) {
    this.tx = tx;
    this.target = target;
    this.joined = joined;
    this.read = read;
    read.waiting.add(this);
  }

  /** For another one than before. */
  waitFor(read: SharedRead): void {
    this.leave();
    this.read = read;
    read.waiting.add(this);
  }

  /** It does not wait any more. */
  leave(): void {
    this.read?.waiting.delete(this);
    this.read = null;
  }
}
