/** Upper bounds, in seconds, of what takes from a tenth of a millisecond to ten seconds. */
export const SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** How often values fell below fixed bounds: what a histogram is read from. Observing one is a few comparisons and allocates nothing. */
export class Distribution {
  readonly bounds: readonly number[];
  /** Number of values up to each bound and above the bound before; the last: above all bounds. */
  readonly counts: Float64Array;
  /** In the array, so that adding to it makes no number on the heap. */
  readonly #sum = new Float64Array(1);

  /** `bounds` rise. */
  constructor(bounds: readonly number[] = SECONDS) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  get sum(): number {
    return this.#sum[0] ?? 0;
  }

  /** Of all values. */
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
