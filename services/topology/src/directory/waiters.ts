/** A call that waits for an object. */
export interface Waiter {
  /** Looks for the object and, if it is there, answers; false: the call still waits. */
  look(): boolean;
  /** Ends the call with an error. */
  fail(details: string): void;
}

/**
 * The waiting calls. They are found by the keys (texts) under which they wait, so that a change costs only the calls
 * that it may concern. These look for their object once, at the end of the turn, however much has changed.
 */
export class Waiters {
  readonly #keysOf = new Map<Waiter, readonly string[]>();
  readonly #byKey = new Map<string, Set<Waiter>>();
  readonly #touched = new Set<Waiter>();

  get size(): number {
    return this.#keysOf.size;
  }

  /** Number of keys under which calls wait. */
  get keys(): number {
    return this.#byKey.size;
  }

  /** Number of calls that will look at the end of this turn. */
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

  /** Removes a waiter, if it still waits. */
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

  /** An object has changed that waiters under this key may be waiting for. */
  touch(key: string): void {
    const waiting = this.#byKey.get(key);
    if (waiting !== undefined) for (const waiter of waiting) this.#touched.add(waiter);
  }

  /** Lets the waiters look for which `touch` was called. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const waiter of touched) if (waiter.look()) this.remove(waiter);
  }

  /** Ends all waiting calls with an error. */
  failAll(details: string): void {
    for (const waiter of [...this.#keysOf.keys()]) {
      this.remove(waiter);
      waiter.fail(details);
    }
  }
}
