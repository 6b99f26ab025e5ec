import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { LOOK_MS } from './drain.ts';

/** Waits until something is so, but not for longer than it may. */
export class Until {
  /** Resolves when it is so, or when the time is over. */
  readonly done: Promise<void>;
  readonly #isSo: () => boolean;
  readonly #clock: Clock;
  readonly #finished = Promise.withResolvers<void>();
  #endAt: number;
  #timer: Timer | null = null;

  /** Looks at once. `limitMs`: from now. */
  constructor(isSo: () => boolean, limitMs: number, clock: Clock) {
    this.#isSo = isSo;
    this.#clock = clock;
    this.done = this.#finished.promise;
    this.#endAt = clock.now() + limitMs;
    this.#look();
  }

  /** The time is over. */
  hurry(): void {
    this.#endAt = this.#clock.now();
    this.#look();
  }

  #look(): void {
    this.#timer?.cancel();
    const left = this.#endAt - this.#clock.now();
    if (left <= 0 || this.#isSo()) this.#finished.resolve();
    else this.#timer = this.#clock.after(Math.min(LOOK_MS, left), () => this.#look());
  }
}
