import type { Position } from '@spanmesh/proto/v1/replication';
import { type Random, systemRandom } from '@spanmesh/runtime/random';
import type { RelayGroup } from './gateway.ts';
import type { RecordedChange } from './tree-events.ts';

/** All changes of one revision. */
export interface Batch {
  readonly revision: string;
  /** The revision before. */
  readonly previous: string;
  readonly changes: readonly RecordedChange[];
  /** Relays changed too, but they were too many to keep. */
  readonly relaysMissing: boolean;
  readonly bytes: number;
}

/**
 * Batches kept: at one a turn of the event loop, enough for some seconds of the busiest times and for days of quiet
 * ones.
 */
export const MAX_BATCHES = 4096;
/** Memory (estimated) that the batches kept may use, with the removed objects that they refer to. */
export const MAX_HISTORY_BYTES = 64 * 1024 * 1024;
/** A batch whose relays take more than this is kept without them. */
export const MAX_RELAY_BYTES = 4 * 1024 * 1024;

/** Estimated bytes: an object that may be removed from the tree, a group of relays, and a relay in it. */
const OBJECT_BYTES = 1024;
const GROUP_BYTES = 128;
const RELAY_BYTES = 8;

export interface HistoryLimits {
  readonly maxBatches?: number;
  readonly maxBytes?: number;
  readonly maxRelayBytes?: number;
}

/**
 * The latest changes of the trees, in batches, and the current revision. A revision is opaque to users: a random id of
 * the history, the epoch, and a number that rises with every batch. The id distinguishes histories: revisions of
 * another process, leader or store are not known, whatever their numbers. A recorded change costs one small object;
 * relays cost one for each link and gateway.
 */
export class History {
  readonly #maxBatches: number;
  readonly #maxBytes: number;
  readonly #maxRelayBytes: number;
  readonly #listeners = new Set<() => void>();
  readonly #random: Random;
  readonly #isWhole: () => boolean;
  #history: string;
  #epoch = 0;
  #n = 0;
  #revision: string;
  #pending: RecordedChange[] = [];
  #batches: Batch[] = [];
  /** Sequence number of the first batch kept. */
  #first = 0;
  #bytes = 0;

  /** `isWhole`: whether the state may get a revision now; it may not while a change is half done. */
  constructor(
    { maxBatches = MAX_BATCHES, maxBytes = MAX_HISTORY_BYTES, maxRelayBytes = MAX_RELAY_BYTES }: HistoryLimits = {},
    { random = systemRandom, isWhole = () => true }: { random?: Random; isWhole?: () => boolean } = {},
  ) {
    this.#maxBatches = maxBatches;
    this.#maxBytes = maxBytes;
    this.#maxRelayBytes = maxRelayBytes;
    this.#random = random;
    this.#isWhole = isWhole;
    this.#history = newHistory(random);
    this.#revision = revisionAt(this.position);
  }

  /** Memory (estimated) that the batches use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Sequence number that the next batch will have. */
  get end(): number {
    return this.#first + this.#batches.length;
  }

  /** The revision of the current state; while a change is half done, of the state before. */
  get revision(): string {
    // A reader sees the changes of this turn, so the revision must include them.
    if (this.#isWhole()) this.commit();
    return this.#revision;
  }

  record(change: RecordedChange): void {
    this.#pending.push(change);
  }

  /** Ends a batch, which gets the relays that the flush has selected, too. */
  commit(groups: readonly RelayGroup[] = []): void {
    if (this.#pending.length > 0 || groups.length > 0) this.commitAt(this.#nextPosition(), groups);
  }

  /** Ends a batch at a standby, at the position that the leader has given it. */
  commitAt(position: Position, groups: readonly RelayGroup[]): void {
    let changes = this.#pending;
    this.#pending = [];
    let bytes = 0;
    let relayBytes = 0;
    for (const change of changes) {
      if (change.of === 'relays') relayBytes += bytesOf(change.group);
      else bytes += OBJECT_BYTES;
    }
    for (const group of groups) relayBytes += bytesOf(group);
    const relaysMissing = relayBytes > this.#maxRelayBytes;
    if (relaysMissing) changes = changes.filter((change) => change.of !== 'relays');
    else {
      for (const group of groups) changes.push({ of: 'relays', group });
      bytes += relayBytes;
    }
    const previous = this.#revision;
    this.#goTo(position);
    this.#batches.push({ revision: this.#revision, previous, changes, relaysMissing, bytes });
    this.#bytes += bytes;
    while (this.#batches.length > this.#maxBatches || this.#bytes > this.#maxBytes) {
      this.#bytes -= this.#batches.shift()?.bytes ?? 0;
      this.#first++;
    }
    for (const fn of this.#listeners) fn();
  }

  /** Sets the epoch of the revisions from now on. */
  set epoch(epoch: number) {
    this.#epoch = epoch;
  }

  /**
   * This replica leads under the epoch from now on: revisions of other leaders, and of its own earlier terms, are
   * unknown from now on.
   */
  restart(epoch: number): void {
    this.restartAt({ epoch, n: 1, history: newHistory(this.#random) });
  }

  /** Forgets all changes: a watch that resumes from an earlier revision is told to list again. */
  forget(): void {
    this.restartAt(this.#nextPosition());
  }

  /** Begins at the position of another state. The changes that led to it are not known. */
  restartAt(position: Position): void {
    this.#goTo(position);
    this.#pending = [];
    // Beyond the number that any watch waits for, so that each watch finds out that it has missed batches.
    this.#first = this.end + 1;
    this.#batches = [];
    this.#bytes = 0;
    for (const fn of this.#listeners) fn();
  }

  /** The current revision in its parts. */
  get position(): Position {
    return { epoch: this.#epoch, n: this.#n, history: this.#history };
  }

  /** Whether the position is the current one. */
  isAt({ epoch, n, history }: Position): boolean {
    return epoch === this.#epoch && n === this.#n && history === this.#history;
  }

  /**
   * Whether the revision may be a later one, of this history or of a later leader's of which this replica has not heard
   * yet.
   */
  isAhead(revision: string): boolean {
    const position = positionOf(revision);
    if (position === null) return false;
    if (position.history !== this.#history) return position.epoch > this.#epoch;
    return position.epoch > this.#epoch || (position.epoch === this.#epoch && position.n > this.#n);
  }

  /** Whether the revision is one of this history, kept or not. */
  isOurs(revision: string): boolean {
    return positionOf(revision)?.history === this.#history;
  }

  /** Sequence number of the first batch after the revision, or undefined if that batch is not kept. */
  after(revision: string): number | undefined {
    if (revision === this.revision) return this.end;
    // The newest batches are searched first: a watch that resumes has not been away for long.
    for (let at = this.#batches.length - 1; at >= 0; at--) {
      if (this.#batches[at]?.previous === revision) return this.#first + at;
    }
    return undefined;
  }

  /** The batch, or undefined if it is not kept any more. Call only for numbers below `end`. */
  batch(sequence: number): Batch | undefined {
    return this.#batches[sequence - this.#first];
  }

  #nextPosition(): Position {
    return { ...this.position, n: this.#n + 1 };
  }

  #goTo(position: Position): void {
    this.#epoch = position.epoch;
    this.#n = position.n;
    this.#history = position.history;
    this.#revision = revisionAt(position);
  }

  /** Calls `fn` at every new batch, until the returned function is called. */
  onBatch(fn: () => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }
}

function bytesOf({ open, close }: RelayGroup): number {
  return GROUP_BYTES + RELAY_BYTES * (open.length + close.length);
}

/** A revision as users see it, as an opaque text. */
export function revisionAt({ history, epoch, n }: Position): string {
  return `${history}.${epoch}.${n}`;
}

/** The parts of a revision; null: the text is no revision. */
function positionOf(revision: string): Position | null {
  const [, history, epoch, n] = /^([0-9a-f]{16})\.([0-9]{1,16})\.([0-9]{1,16})$/.exec(revision) ?? [];
  return history === undefined ? null : { history, epoch: Number(epoch), n: Number(n) };
}

/** An id that no other history has: 16 hexadecimal digits. */
function newHistory(random: Random): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
