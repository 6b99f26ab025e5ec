import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { LOOK_MS } from './drain.ts';

/** Waits until a condition holds, or until a limit of time. */
export class Until {
  /** Resolves when the condition holds, or when the time is over. */
  readonly done: Promise<void>;
  readonly #isSo: () => boolean;
  readonly #clock: Clock;
  readonly #finished = Promise.withResolvers<void>();
  #endAt: number;
  #timer: Timer | null = null;

  /** Looks at the condition at once. `limitMs`: the limit, from now. */
  constructor(isSo: () => boolean, limitMs: number, clock: Clock) {
    this.#isSo = isSo;
    this.#clock = clock;
    this.done = this.#finished.promise;
    this.#endAt = clock.now() + limitMs;
    this.#look();
  }

  /** Ends the time now. */
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
