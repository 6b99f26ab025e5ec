import type { Random } from './random.ts';

/**
 * Pauses between attempts: doubled from the first to the longest, each shortened at random, so that many processes do
 * not retry in step.
 */
export interface Pauses {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Largest part of a pause by which it is shortened; default: half. */
  readonly jitterPart?: number;
}

/** Doublings after which every pause is the longest: 2 ** 40 ms are 35 years. */
const MOST_DOUBLINGS = 40;
const DEFAULT_JITTER_PART = 0.5;

/** Pause before the next attempt, ms, after this many failures in a row (1: the first). */
export function pauseAfter(failures: number, pauses: Pauses, random: Random): number {
  const { firstMs, maxMs, jitterPart = DEFAULT_JITTER_PART } = pauses;
  const full = Math.min(firstMs * 2 ** Math.min(failures - 1, MOST_DOUBLINGS), maxMs);
  return full * (1 - jitterPart * random());
}

/** Pauses together with a count of failures, for an action that is repeated for ever. */
export class Backoff {
  readonly #pauses: Pauses;
  readonly #random: Random;
  #failures = 0;

  constructor(pauses: Pauses, { random }: { random: Random }) {
    this.#pauses = pauses;
    this.#random = random;
  }

  /** Counts a failed attempt; returns the pause before the next one, ms. */
  next(): number {
    return pauseAfter(++this.#failures, this.#pauses, this.#random);
  }

  /** Notes that an attempt has succeeded: the next pause is the first one again. */
  reset(): void {
    this.#failures = 0;
  }

  /** Makes the next pause the longest. */
  skipToLongest(): void {
    this.#failures = MOST_DOUBLINGS;
  }
}
