/** An entry with a weight. Only `Heaviest` sets `place` and `rank`. */
export interface Weighed {
  readonly weight: number;
  /** Order of creation: of two entries with equal weight, the later one counts as heavier. */
  readonly born: number;
  /** Its index in the heap; -1: it is not in it. */
  place: number;
  /** The weight by which it is sorted: its own weight or more. */
  rank: number;
}

/** An entry that gets heavier is ranked above its weight by 1 / AHEAD of the weight. */
const AHEAD = 8;

/**
 * Finds the heaviest of its entries; a change of weight takes O(log n), without allocation. An entry that gets lighter
 * is moved only when the heaviest is asked for, and one that gets heavier is ranked above its weight at once. So an
 * entry need not be moved each time while its weight swings, like the bytes in a buffer, or grows in small steps.
 */
export class Heaviest<T extends Weighed> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  /** The heaviest entry; undefined: there is none. */
  get first(): T | undefined {
    let first = this.#all[0];
    while (first !== undefined && first.weight < first.rank) {
      first.rank = first.weight;
      this.#sink(first);
      first = this.#all[0];
    }
    return first;
  }

  add(one: T): void {
    one.rank = one.weight;
    one.place = this.#all.length;
    this.#all.push(one);
    this.#rise(one);
  }

  remove(one: T): void {
    const { place } = one;
    if (this.#all[place] !== one) return;
    const last = this.#all.pop();
    one.place = -1;
    if (last === undefined || last === one) return;
    this.#put(last, place);
    this.#rise(last);
    this.#sink(last);
  }

  /** To be called when the weight of an entry has changed. */
  changed(one: T): void {
    if (one.weight <= one.rank) return;
    one.rank = one.weight + Math.floor(one.weight / AHEAD);
    this.#rise(one);
  }

  #put(one: T, place: number): void {
    this.#all[place] = one;
    one.place = place;
  }

  #rise(one: T): void {
    let { place } = one;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = this.#all[above];
      if (other === undefined || !isHeavier(one, other)) break;
      this.#put(other, place);
      place = above;
    }
    this.#put(one, place);
  }

  #sink(one: T): void {
    let { place } = one;
    for (;;) {
      const left = this.#all[2 * place + 1];
      const right = this.#all[2 * place + 2];
      const heavier = right !== undefined && left !== undefined && isHeavier(right, left) ? right : left;
      if (heavier === undefined || !isHeavier(heavier, one)) break;
      const below = heavier.place;
      this.#put(heavier, place);
      place = below;
    }
    this.#put(one, place);
  }
}

function isHeavier(one: Weighed, other: Weighed): boolean {
  return one.rank === other.rank ? one.born > other.born : one.rank > other.rank;
}
