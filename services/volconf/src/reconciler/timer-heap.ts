import type { Clock, Timer } from '@spanmesh/runtime/clock';

/** The fields of an entry that a TimerHeap uses. */
export interface Timed {
  /** Place in the heap; -1: not in it. */
  heapIndex: number;
  /** When it is due, on the clock's monotonic scale. */
  heapAt: number;
}

/**
 * The due times of many entries on one timer of the clock: setting and removing take O(log n), and waiting costs
 * nothing.
 */
export class TimerHeap<T extends Timed> {
  readonly #quantumMs: number;
  readonly #clock: Clock;
  readonly #due: (entry: T) => void;
  readonly #heap: T[] = [];
  #timer: Timer | null = null;
  #armedAt = Number.POSITIVE_INFINITY;

  /** `quantumMs`: how late an entry may be, so that entries close to each other share a wake-up. */
  constructor({ quantumMs }: { quantumMs: number }, { clock, due }: { clock: Clock; due: (entry: T) => void }) {
    this.#quantumMs = quantumMs;
    this.#clock = clock;
    this.#due = due;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Makes an entry due at this time, instead of its earlier time. */
  set(entry: T, at: number): void {
    const isNew = entry.heapIndex < 0;
    entry.heapAt = at;
    if (isNew) {
      entry.heapIndex = this.#heap.length;
      this.#heap.push(entry);
    }
    this.#up(entry);
    this.#down(entry);
    this.#arm();
  }

  /** Removes an entry, if it is in the heap. */
  remove(entry: T): void {
    const at = entry.heapIndex;
    if (at < 0) return;
    entry.heapIndex = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#heap[at] = last;
    last.heapIndex = at;
    this.#up(last);
    this.#down(last);
  }

  clear(): void {
    for (const entry of this.#heap) entry.heapIndex = -1;
    this.#heap.length = 0;
    this.#timer?.cancel();
    this.#timer = null;
    this.#armedAt = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined) return;
    const at = Math.ceil(first.heapAt / this.#quantumMs) * this.#quantumMs;
    if (at >= this.#armedAt) return;
    this.#timer?.cancel();
    this.#armedAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    this.#timer = null;
    this.#armedAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first !== undefined && first.heapAt <= now; first = this.#heap[0]) {
      this.remove(first);
      this.#due(first);
    }
    this.#arm();
  }

  #up(entry: T): void {
    const heap = this.#heap;
    let at = entry.heapIndex;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1];
      if (parent === undefined || parent.heapAt <= entry.heapAt) break;
      const above = parent.heapIndex;
      this.#put(at, parent);
      at = above;
    }
    this.#put(at, entry);
  }

  #down(entry: T): void {
    const heap = this.#heap;
    let at = entry.heapIndex;
    for (;;) {
      const left = heap[2 * at + 1];
      if (left === undefined) break;
      const right = heap[2 * at + 2];
      const child = right !== undefined && right.heapAt < left.heapAt ? right : left;
      if (child.heapAt >= entry.heapAt) break;
      const below = child.heapIndex;
      this.#put(at, child);
      at = below;
    }
    this.#put(at, entry);
  }

  #put(at: number, entry: T): void {
    this.#heap[at] = entry;
    entry.heapIndex = at;
  }
}
