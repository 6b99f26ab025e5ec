import { expect, it } from 'vitest';
import { Backoff, pauseAfter } from './backoff.ts';

const pauses = { firstMs: 1000, maxMs: 60_000 };

it('a pause is doubled with each failure up to the longest, and shortened by up to a part of it', () => {
  const longest = [1, 2, 3, 6, 7, 1_000_000].map((failures) => pauseAfter(failures, pauses, () => 0));
  expect(longest).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000]);
  expect(pauseAfter(1, pauses, () => 1)).toBe(500);
  expect(pauseAfter(7, { ...pauses, jitterPart: 0.25 }, () => 0.5)).toBe(52_500);
});

it('failures are counted until an attempt succeeds, or the longest pause is chosen at once', () => {
  const backoff = new Backoff(pauses, { random: () => 0 });
  expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([1000, 2000, 4000]);
  backoff.reset();
  expect(backoff.next()).toBe(1000);
  backoff.skipToLongest();
  expect([backoff.next(), backoff.next()]).toEqual([60_000, 60_000]);
});
