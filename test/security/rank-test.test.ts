import { expect, it } from 'vitest';
import { rankTest } from './rank-test.ts';

const sample = (length: number, value: (n: number) => number) => Float64Array.from({ length }, (_, n) => value(n));
/** Evenly spread numbers in mixed order, without a random generator. */
const spread = (n: number) => (n * 0.618034) % 1;

it('finds no difference between samples of one distribution, and finds a small shift', () => {
  const [a, b] = [sample(20_000, spread), sample(20_000, (n) => spread(n + 7))];
  expect(Math.abs(rankTest(a, b).z)).toBeLessThan(2);
  const shifted = rankTest(
    sample(20_000, (n) => spread(n) + 0.03),
    b,
  );
  expect(shifted.z).toBeGreaterThan(8);
  expect(shifted.share).toBeCloseTo(0.53, 2);
});

it('handles samples of equal values, and samples without common values', () => {
  const [ones, twos] = [sample(10, () => 1), sample(10, () => 2)];
  expect(rankTest(ones, ones)).toEqual({ z: 0, share: 0.5 });
  expect(rankTest(twos, ones).share).toBe(1);
  // Computed by hand: U = 100, mean 50, variance 100/12 · (21 − (2 · 990) / (20 · 19)).
  expect(rankTest(twos, ones).z).toBeCloseTo(50 / Math.sqrt((100 / 12) * (21 - 1980 / 380)), 10);
});
