/** The result of the test for two samples. */
export interface RankTest {
  /** Standard normal if both samples are of one distribution: beyond ±4 once in 16,000 times. */
  readonly z: number;
  /** Probability that a value of the first sample is larger than one of the second; 0.5: no difference. */
  readonly share: number;
}

/**
 * Mann and Whitney's test: whether the values of one sample tend to be larger than those of the other. It uses only
 * their order, so that a few extreme values do not matter.
 */
export function rankTest(first: Float64Array, second: Float64Array): RankTest {
  const all = [
    ...Array.from(first, (value) => ({ value, of: 0 })),
    ...Array.from(second, (value) => ({ value, of: 1 })),
  ];
  all.sort((a, b) => a.value - b.value);
  let ranks = 0;
  let ties = 0;
  for (let start = 0; start < all.length; ) {
    let end = start;
    while (end < all.length && all[end]!.value === all[start]!.value) end++;
    // Equal values share the mean of their ranks, which begin with 1.
    const rank = (start + 1 + end) / 2;
    for (let at = start; at < end; at++) if (all[at]!.of === 0) ranks += rank;
    const equal = end - start;
    ties += equal ** 3 - equal;
    start = end;
  }
  const [n, m] = [first.length, second.length];
  const total = n + m;
  const larger = ranks - (n * (n + 1)) / 2;
  const deviation = Math.sqrt(((n * m) / 12) * (total + 1 - ties / (total * (total - 1))));
  return { z: deviation === 0 ? 0 : (larger - (n * m) / 2) / deviation, share: larger / (n * m) };
}
