import type { Random } from '@spanmesh/runtime/random';
import { JITTER_PART } from '../limits.ts';

/** Pause before the next try, ms, after so many failures in a row (1: the first). Doubled each time, and shortened at random. */
export function pauseAfter(failures: number, { first, max }: { first: number; max: number }, random: Random): number {
  // 2 ** 40 times anything is above every maximum, and no infinity.
  const full = Math.min(first * 2 ** Math.min(failures - 1, 40), max);
  return full * (1 - JITTER_PART * random());
}
