import { expect, it } from 'vitest';
import { epochOfClock, isBelievableEpoch } from './epoch.ts';

// Written once more: a change of them must be noticed.
const MAX_EPOCH = 2 ** 48;
const MOST_AHEAD_S = 10 * 366 * 86_400;

it('an epoch is believed up to ten years ahead of the clock, or of the highest one known', () => {
  const wallMs = 1_700_000_000_123;
  const now = epochOfClock(wallMs);
  expect(now).toBe(1_700_000_000);
  const believed = (epoch: number, known = 0) => isBelievableEpoch(epoch, { known, wallMs });
  expect([0, 1, now, now + MOST_AHEAD_S].map((epoch) => believed(epoch))).toEqual([true, true, true, true]);
  expect([now + MOST_AHEAD_S + 1, 2 ** 32, 2 ** 53, -1, 0.5, Number.NaN].map((epoch) => believed(epoch))).toEqual(
    Array(6).fill(false),
  );
  expect(believed(2 ** 32, 2 ** 32 - 5)).toBe(true);
});

it('a clock that was never set, or is wrong, gives an epoch all the same', () => {
  expect(epochOfClock(0)).toBe(1);
  expect(epochOfClock(-5)).toBe(1);
  expect(epochOfClock(Number.MAX_SAFE_INTEGER * 1000)).toBeLessThan(MAX_EPOCH);
});
