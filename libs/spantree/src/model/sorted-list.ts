/**
 * Up to this many changes since the list was last read are inserted one by one; after more, the list is sorted anew
 * when it is read.
 */
const MOST_PATCHES = 32;

/**
 * The values of a map in an order, kept from one reading to the next. An array that was read does not change when the
 * map does, so code that goes through it slowly sees one state.
 */
export class SortedList<T> {
  readonly #values: () => Iterable<T>;
  readonly #compare: (a: T, b: T) => number;
  #sorted: readonly T[] | undefined;
  #patches = 0;

  /** `values`: all values, in any order. No two of them may compare as equal. */
  constructor(values: () => Iterable<T>, compare: (a: T, b: T) => number) {
    this.#values = values;
    this.#compare = compare;
  }

  get all(): readonly T[] {
    this.#sorted ??= [...this.#values()].sort(this.#compare);
    this.#patches = 0;
    return this.#sorted;
  }

  /** Call it when a value was added. */
  added(value: T): void {
    const sorted = this.#patched();
    if (sorted !== undefined) this.#sorted = sorted.toSpliced(this.#lowerBound(sorted, value), 0, value);
  }

  /** Call it when a value was removed. */
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
