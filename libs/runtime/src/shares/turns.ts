/** A queue by principal: principals take turns, and the entries of one principal keep their order. */
export class Turns<T> {
  /** Entries by principal; the first principal is the one whose turn it is. */
  readonly #waiting = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(principal: string, one: T): void {
    const known = this.#waiting.get(principal);
    if (known === undefined) this.#waiting.set(principal, [one]);
    else known.push(one);
    this.#size++;
  }

  /** Removes and returns the next entry; undefined: there is none. */
  take(): T | undefined {
    for (const [principal, waiting] of this.#waiting) {
      // A principal with further entries goes to the end of the line.
      this.#waiting.delete(principal);
      const one = waiting.shift();
      if (waiting.length > 0) this.#waiting.set(principal, waiting);
      this.#size--;
      return one;
    }
    return undefined;
  }
}
