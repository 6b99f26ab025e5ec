/** Something that is held by somebody; `Heaviest` alone sets `place` and `rank`. */
export interface Weighed {
  readonly weight: number;
  /** Order of birth: of two that weigh the same the later one counts as heavier. */
  readonly born: number;
  /** Its place among the others; -1: it is not among them. */
  place: number;
  /** The weight that it is sorted by: its own or more. */
  rank: number;
}

/** An entry that gets heavier is ranked above its weight by one such part of it. */
const AHEAD = 8;

/**
 * Things by their weight: which is the heaviest, a change of weight in O(log n), without allocation. What gets lighter is moved only when
 * the heaviest is asked for, and what gets heavier is ranked above its weight at once: neither what swings between two weights, as bytes in
 * a buffer do, nor what is counted one by one is moved each time.
 */
export class Heaviest<T extends Weighed> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  /** undefined: there is none. */
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

  /** Its weight has changed. */
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
