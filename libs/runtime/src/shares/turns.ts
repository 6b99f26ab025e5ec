/** Things that wait, by principal: principals take turns, and of one principal the first comes first. */
export class Turns<T> {
  /** The first principal is the next one's turn. */
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

  /** The one whose turn it is; undefined: nobody waits. */
  take(): T | undefined {
    for (const [principal, waiting] of this.#waiting) {
      // To the end of the line, if it has more.
      this.#waiting.delete(principal);
      const one = waiting.shift();
      if (waiting.length > 0) this.#waiting.set(principal, waiting);
      this.#size--;
      return one;
    }
    return undefined;
  }
}
