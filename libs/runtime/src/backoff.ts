import type { Random } from './random.ts';

/** Pauses between attempts: doubled from the first to the longest, each shortened at random, so that many do not stay in step. */
export interface Pauses {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Part of a pause by which it is shortened at most; default: half. */
  readonly jitterPart?: number;
}

/** Doublings after which every pause is the longest: 2 ** 40 ms are 35 years. */
const MOST_DOUBLINGS = 40;
const DEFAULT_JITTER_PART = 0.5;

/** Pause before the next attempt, ms, after so many failures in a row (1: the first). */
export function pauseAfter(failures: number, pauses: Pauses, random: Random): number {
  const { firstMs, maxMs, jitterPart = DEFAULT_JITTER_PART } = pauses;
  const full = Math.min(firstMs * 2 ** Math.min(failures - 1, MOST_DOUBLINGS), maxMs);
  return full * (1 - jitterPart * random());
}

/** Pauses with their count of failures, for something that is tried again and again, for ever. */
export class Backoff {
  readonly #pauses: Pauses;
  readonly #random: Random;
  #failures = 0;

  constructor(pauses: Pauses, { random }: { random: Random }) {
    this.#pauses = pauses;
    this.#random = random;
  }

  /** One more attempt has failed: gives the pause before the next, ms. */
  next(): number {
    return pauseAfter(++this.#failures, this.#pauses, this.#random);
  }

  /** An attempt has succeeded: the next pause is the first one again. */
  reset(): void {
    this.#failures = 0;
  }

  /** The next pause is the longest. */
  skipToLongest(): void {
    this.#failures = MOST_DOUBLINGS;
  }
}
