import type { Clock } from '@spanmesh/runtime/clock';

/** The shortest way of a message is looked for among those of this time, ms, and of as much before: clocks drift apart. */
const WINDOW_MS = 60_000;

/**
 * How old the newest of somebody's messages is, by two monotonic clocks that have nothing to do with each other: as long ago as it
 * came, and as much longer under way than the message that came fastest.
 */
export class Lag {
  readonly #clock: Clock;
  /** Our clock less theirs, for the fastest message of this window and of the one before. */
  #least = Number.POSITIVE_INFINITY;
  #leastBefore = Number.POSITIVE_INFINITY;
  #windowSince = Number.NEGATIVE_INFINITY;
  #sentAt = 0;

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  /** A message has been taken in that was sent at `sentAt` by their clock. */
  heard(sentAt: number): void {
    const now = this.#clock.now();
    if (now - this.#windowSince >= WINDOW_MS) {
      this.#windowSince = now;
      this.#leastBefore = this.#least;
      this.#least = Number.POSITIVE_INFINITY;
    }
    this.#least = Math.min(this.#least, now - sentAt);
    this.#sentAt = sentAt;
  }

  /** Milliseconds; call only after the first message. */
  get ms(): number {
    return Math.max(0, this.#clock.now() - this.#sentAt - Math.min(this.#least, this.#leastBefore));
  }
}
