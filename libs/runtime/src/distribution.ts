/** Upper bounds, in seconds, for durations from a tenth of a millisecond to ten seconds. */
export const SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * How many values were observed between fixed bounds, from which a histogram is made. Observing a value takes a few
 * comparisons and allocates nothing.
 */
export class Distribution {
  readonly bounds: readonly number[];
  /**
   * The histogram's buckets: for each bound the number of values up to it and above the previous bound; last the number
   * of values above all bounds.
   */
  readonly counts: Float64Array;
  /** The sum is in an array, so that adding to it allocates no number on the heap. */
  readonly #sum = new Float64Array(1);

  /** `bounds` must be ascending. */
  constructor(bounds: readonly number[] = SECONDS) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  get sum(): number {
    return this.#sum[0] ?? 0;
  }

  /** Number of all values. */
  get count(): number {
    return this.counts.reduce((all, some) => all + some, 0);
  }

  observe(value: number): void {
    const { bounds } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at++;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.#sum[0] = this.sum + value;
  }
}
