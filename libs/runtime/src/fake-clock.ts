import type { Clock, Timer } from './clock.ts';

interface Pending {
  readonly at: number;
  readonly fn: () => void;
}

/** A clock that stands still until it is advanced. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #wallAtZero: number;
  readonly #pending = new Set<Pending>();

  /** `wall`: milliseconds since 1970 at now() = 0. */
  constructor({ wall = 1_600_000_000_000 }: { wall?: number } = {}) {
    this.#wallAtZero = wall;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wallAtZero + this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    const entry: Pending = { at: this.#now + Math.max(0, ms), fn };
    this.#pending.add(entry);
    return { cancel: () => this.#pending.delete(entry) };
  }

  /** Timers that have not run yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** When the next timer is due (on now()'s scale), or null. */
  nextAt(): number | null {
    return this.#next(Number.POSITIVE_INFINITY)?.at ?? null;
  }

  /** Advances by `ms` and runs the timers that become due, in order, each at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#next(end); due !== undefined; due = this.#next(end)) {
      this.#pending.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.fn();
    }
    this.#now = end;
  }

  #next(end: number): Pending | undefined {
    let first: Pending | undefined;
    // In the order in which they were set: of those that are due at the same time the first one counts.
    for (const entry of this.#pending) {
      if (entry.at <= end && (first === undefined || entry.at < first.at)) first = entry;
    }
    return first;
  }
}
