import { type HashTables, hashId, makeHashTables } from './id-hash.ts';

/** Smallest capacity (entries, a power of two): shrinking below it would save nothing worth having. */
const MIN_CAPACITY = 16;
/**
 * A table of at most this capacity (16 KiB) shrinks only after SHRINK_AFTER times its capacity of deletions that left
 * it nearly empty. Transactions come and go in bursts, and the table would otherwise shrink and grow with each.
 */
const LARGEST_KEPT = 1024;
const SHRINK_AFTER = 4;

/** Random, drawn once in the life of the process and shared by all its maps (8 KiB, so they stay in the cache). */
const PROCESS_TABLES = makeHashTables((words) => crypto.getRandomValues(words));

/**
 * A hash map from a 64-bit id, given as two 32-bit halves (signed or unsigned: only the bits count), to an object. Open
 * addressing, linear probing, deletion by shifting back (no tombstones), at most half full. It allocates only when it
 * grows or shrinks.
 */
export class IdMap<T extends object> {
  readonly #tables: HashTables;
  #keys = new Int32Array(2 * MIN_CAPACITY);
  #values: (T | undefined)[] = new Array<T | undefined>(MIN_CAPACITY).fill(undefined);
  #mask = MIN_CAPACITY - 1;
  #size = 0;
  /** Deletions that left the table nearly empty, since it was last resized or a quarter full. */
  #sparse = 0;

  constructor(tables: HashTables = PROCESS_TABLES) {
    this.#tables = tables;
  }

  /** Number of ids in the map. */
  get size(): number {
    return this.#size;
  }

  /** Number of entries that the table has room for; tests of growing and shrinking look at it. */
  get capacity(): number {
    return this.#mask + 1;
  }

  find(lo: number, hi: number): T | undefined {
    const keys = this.#keys;
    const values = this.#values;
    const mask = this.#mask;
    const low = lo | 0;
    const high = hi | 0;
    let at = hashId(this.#tables, low, high) & mask;
    for (;;) {
      const value = values[at];
      if (value === undefined || (keys[2 * at] === low && keys[2 * at + 1] === high)) return value;
      at = (at + 1) & mask;
    }
  }

  /** Puts an id in. False, and nothing changed, if it is there already. */
  insert(lo: number, hi: number, value: T): boolean {
    if (2 * (this.#size + 1) > this.capacity) this.#resize(2 * this.capacity);
    // A quarter full: the table is in use again, so it need not shrink.
    else if (4 * this.#size > this.capacity) this.#sparse = 0;
    const low = lo | 0;
    const high = hi | 0;
    let at = hashId(this.#tables, low, high) & this.#mask;
    while (this.#values[at] !== undefined) {
      if (this.#keys[2 * at] === low && this.#keys[2 * at + 1] === high) return false;
      at = (at + 1) & this.#mask;
    }
    this.#keys[2 * at] = low;
    this.#keys[2 * at + 1] = high;
    this.#values[at] = value;
    this.#size++;
    return true;
  }

  /** Takes an id out. False if it is not there. */
  delete(lo: number, hi: number): boolean {
    const keys = this.#keys;
    const values = this.#values;
    const mask = this.#mask;
    const low = lo | 0;
    const high = hi | 0;
    let hole = hashId(this.#tables, low, high) & mask;
    for (;;) {
      if (values[hole] === undefined) return false;
      if (keys[2 * hole] === low && keys[2 * hole + 1] === high) break;
      hole = (hole + 1) & mask;
    }
    for (let at = (hole + 1) & mask; values[at] !== undefined; at = (at + 1) & mask) {
      const entryLow = keys[2 * at] ?? 0;
      const entryHigh = keys[2 * at + 1] ?? 0;
      const home = hashId(this.#tables, entryLow, entryHigh) & mask;
      // An entry may move into the hole only if the hole lies between the entry's home and its present place, wrapping
      // around.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      keys[2 * hole] = entryLow;
      keys[2 * hole + 1] = entryHigh;
      values[hole] = values[at];
      hole = at;
    }
    values[hole] = undefined;
    this.#size--;
    const { capacity } = this;
    // It shrinks at an eighth, a quarter of the load at which it grows, so that it does not keep growing and shrinking.
    if (capacity === MIN_CAPACITY || 8 * this.#size >= capacity) return true;
    if (capacity > LARGEST_KEPT || ++this.#sparse > SHRINK_AFTER * capacity) this.#resize(capacity / 2);
    return true;
  }

  /** Takes everything out and frees the memory. */
  clear(): void {
    this.#size = 0;
    this.#allocate(MIN_CAPACITY);
  }

  #resize(capacity: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#allocate(capacity);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === undefined) continue;
      const low = keys[2 * i] ?? 0;
      const high = keys[2 * i + 1] ?? 0;
      let at = hashId(this.#tables, low, high) & this.#mask;
      while (this.#values[at] !== undefined) at = (at + 1) & this.#mask;
      this.#keys[2 * at] = low;
      this.#keys[2 * at + 1] = high;
      this.#values[at] = value;
    }
  }

  #allocate(capacity: number): void {
    this.#keys = new Int32Array(2 * capacity);
    this.#values = new Array<T | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#sparse = 0;
  }
}
