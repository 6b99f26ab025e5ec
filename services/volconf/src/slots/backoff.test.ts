import { expect, it } from 'vitest';
import { JITTER_PART } from '../limits.ts';
import { pauseAfter } from './backoff.ts';

const pauses = { first: 1000, max: 60_000 };

it('a pause is doubled with each failure up to the longest, and shortened by up to a quarter', () => {
  const longest = [1, 2, 3, 6, 7, 1_000_000].map((failures) => pauseAfter(failures, pauses, () => 0));
  expect(longest).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000]);
  expect(pauseAfter(1, pauses, () => 1)).toBe(1000 * (1 - JITTER_PART));
  expect(pauseAfter(7, pauses, () => 0.5)).toBe(60_000 * (1 - JITTER_PART / 2));
});
