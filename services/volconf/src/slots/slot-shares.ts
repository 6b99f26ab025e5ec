import type { Slot } from './slot.ts';

/**
 * Slots by principal, up to a limit of all together. At the limit the principal with most slots gives one up for a
 * principal with fewer.
 */
export class SlotShares {
  readonly #max: number;
  readonly #of = new Map<string, Slot[]>();
  #size = 0;

  constructor({ max }: { max: number }) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** Number of principals that have slots. */
  get principals(): number {
    return this.#of.size;
  }

  add(slot: Slot): void {
    let all = this.#of.get(slot.principal);
    if (all === undefined) {
      all = [];
      this.#of.set(slot.principal, all);
    }
    slot.place = all.length;
    all.push(slot);
    this.#size++;
  }

  delete(slot: Slot): void {
    const all = this.#of.get(slot.principal);
    if (all?.[slot.place] !== slot) return;
    const last = all.pop();
    if (last !== undefined && last !== slot) {
      all[slot.place] = last;
      last.place = slot.place;
    }
    if (all.length === 0) this.#of.delete(slot.principal);
    this.#size--;
  }

  /**
   * Makes room for one more slot of this principal. null: there is room; a slot: it was taken from the principal with
   * most; undefined: there is no room, because no principal has two slots more than this one.
   */
  makeRoomFor(principal: string): Slot | null | undefined {
    if (this.#size < this.#max) return null;
    const own = this.#of.get(principal)?.length ?? 0;
    let most: Slot[] = [];
    for (const all of this.#of.values()) if (all.length > most.length) most = all;
    if (most.length <= own + 1) return undefined;
    // It gives up one of its newest slots, so that old slots are disturbed last.
    const slot = most.at(-1);
    if (slot !== undefined) this.delete(slot);
    return slot;
  }
}
