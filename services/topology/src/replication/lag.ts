import type { Clock } from '@spanmesh/runtime/clock';

/** The fastest message is looked for in a window of this time, ms, and in the window before: clocks drift apart. */
const WINDOW_MS = 60_000;

/**
 * The age of the newest message of another process, from two monotonic clocks that are not synchronised: the time since
 * it came, plus the time by which it was longer under way than the fastest message.
 */
export class Lag {
  readonly #clock: Clock;
  /** Our clock minus theirs, for the fastest message of this window and of the one before. */
  #least = Number.POSITIVE_INFINITY;
  #leastBefore = Number.POSITIVE_INFINITY;
  #windowSince = Number.NEGATIVE_INFINITY;
  #sentAt = 0;

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  /** Records a message that was sent at `sentAt` by the other process's clock. */
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

  /** Age of the newest message in milliseconds. Call it only after the first message. */
  get ms(): number {
    return Math.max(0, this.#clock.now() - this.#sentAt - Math.min(this.#least, this.#leastBefore));
  }
}
