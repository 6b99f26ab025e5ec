/** A call that waits for something to come. */
export interface Waiter {
  /** Looks whether it has come, and answers if so; false: it waits on. */
  look(): boolean;
  /** Ends the wait: nobody will look any more. */
  fail(details: string): void;
}

/**
 * Who waits for what. Waiters are found by the texts that they wait under, so that a change costs only the waiters that it may
 * concern; they look once, at the end of the turn, however much has changed.
 */
export class Waiters {
  readonly #keysOf = new Map<Waiter, readonly string[]>();
  readonly #byKey = new Map<string, Set<Waiter>>();
  readonly #touched = new Set<Waiter>();

  get size(): number {
    return this.#keysOf.size;
  }

  /** Texts that somebody waits under. */
  get keys(): number {
    return this.#byKey.size;
  }

  /** Waiters that look at the end of this turn. */
  get touched(): number {
    return this.#touched.size;
  }

  add(waiter: Waiter, keys: readonly string[]): void {
    this.#keysOf.set(waiter, keys);
    for (const key of keys) {
      const waiting = this.#byKey.get(key);
      if (waiting === undefined) this.#byKey.set(key, new Set([waiter]));
      else waiting.add(waiter);
    }
  }

  /** Nothing happens if it does not wait any more. */
  remove(waiter: Waiter): void {
    const keys = this.#keysOf.get(waiter);
    if (keys === undefined) return;
    this.#keysOf.delete(waiter);
    this.#touched.delete(waiter);
    for (const key of keys) {
      const waiting = this.#byKey.get(key);
      waiting?.delete(waiter);
      if (waiting?.size === 0) this.#byKey.delete(key);
    }
  }

  /** Something has changed for the waiters under this text. */
  touch(key: string): void {
    const waiting = this.#byKey.get(key);
    if (waiting !== undefined) for (const waiter of waiting) this.#touched.add(waiter);
  }

  /** Has those look for whom something has changed. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const waiter of touched) if (waiter.look()) this.remove(waiter);
  }

  /** Ends all waits. */
  failAll(details: string): void {
    for (const waiter of [...this.#keysOf.keys()]) {
      this.remove(waiter);
      waiter.fail(details);
    }
  }
}
