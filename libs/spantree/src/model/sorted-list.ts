/** Changes since the list was last read that are put in one by one; after more of them it is sorted anew when it is read. */
const MOST_PATCHES = 32;

/**
 * The values of a map in an order, kept from one reading to the next. What was read stays as it was when the map changes: whoever goes
 * through it slowly sees one state.
 */
export class SortedList<T> {
  readonly #values: () => Iterable<T>;
  readonly #compare: (a: T, b: T) => number;
  #sorted: readonly T[] | undefined;
  #patches = 0;

  /** `values`: what there is, in any order. No two of them compare as equal. */
  constructor(values: () => Iterable<T>, compare: (a: T, b: T) => number) {
    this.#values = values;
    this.#compare = compare;
  }

  get all(): readonly T[] {
    this.#sorted ??= [...this.#values()].sort(this.#compare);
    this.#patches = 0;
    return this.#sorted;
  }

  /** To be called when there is one more. */
  added(value: T): void {
    const sorted = this.#patched();
    if (sorted !== undefined) this.#sorted = sorted.toSpliced(this.#lowerBound(sorted, value), 0, value);
  }

  /** To be called when there is one less. */
  removed(value: T): void {
    const sorted = this.#patched();
    if (sorted !== undefined) this.#sorted = sorted.toSpliced(this.#lowerBound(sorted, value), 1);
  }

  #patched(): readonly T[] | undefined {
    this.#patches++;
    if (this.#patches > MOST_PATCHES) this.#sorted = undefined;
    return this.#sorted;
  }

  #lowerBound(sorted: readonly T[], value: T): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = sorted[middle];
      if (at !== undefined && this.#compare(at, value) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
