import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { Wish } from '../reconciler/reconciler.ts';
import { chosen, groupOf, type Policy } from './policy.ts';
import type { Slot } from './slot.ts';

/**
 * The slots with a destination, in the groups within which the policy chooses. Each slot is connected or held back.
 * Changes are noted when they happen, and become wishes when the reconciler asks for them.
 */
export class Groups {
  readonly #policy: Policy;
  readonly #shown: (slot: Slot) => void;
  readonly #slots = new Map<string, Set<Slot>>();
  readonly #keyOf = new Map<Slot, string>();
  /**
   * The groups that have changed since their last wishes; with the policy `all`, which does not compare slots, the
   * slots.
   */
  readonly #undecided = new Set<string | Slot>();

  /** `shown`: called when it has changed whether a slot is held back. */
  constructor({ policy }: { policy: Policy }, { shown }: { shown: (slot: Slot) => void }) {
    this.#policy = policy;
    this.#shown = shown;
  }

  tables(): TableSizes {
    return { groups: this.#slots.size, groupsOfSlots: this.#keyOf.size, undecided: this.#undecided.size };
  }

  /** The slot is new, or its copy has changed. */
  put(slot: Slot): void {
    const before = this.#keyOf.get(slot);
    const now = slot.destination === null ? undefined : groupOf(slot);
    if (before !== now) this.remove(slot);
    if (now === undefined) return;
    const group = this.#slots.get(now);
    if (group === undefined) this.#slots.set(now, new Set([slot]));
    else group.add(slot);
    this.#keyOf.set(slot, now);
    this.#undecided.add(this.#policy === 'all' ? slot : now);
  }

  remove(slot: Slot): void {
    const key = this.#keyOf.get(slot);
    if (key === undefined) return;
    this.#keyOf.delete(slot);
    this.#undecided.delete(slot);
    slot.heldBack = false;
    const group = this.#slots.get(key);
    group?.delete(slot);
    if (group === undefined || group.size === 0) this.#slots.delete(key);
    else if (this.#policy !== 'all') this.#undecided.add(key);
  }

  /** The slot's target is in another state. When it comes up or fails, the policy may choose other slots. */
  noteState(slot: Slot): void {
    const key = this.#keyOf.get(slot);
    if (key !== undefined && this.#policy === 'priority') this.#undecided.add(key);
  }

  /** The wishes for the slots of changed groups. Continues while obeying a wish changes a group. */
  *wishes(): Iterable<Wish> {
    for (const undecided of this.#undecided) {
      this.#undecided.delete(undecided);
      yield* this.#wishesOf(typeof undecided === 'string' ? [...(this.#slots.get(undecided) ?? [])] : [undecided]);
    }
  }

  *#wishesOf(slots: readonly Slot[]): Iterable<Wish> {
    const taken = chosen(this.#policy, slots);
    for (const slot of slots) {
      const held = !taken.has(slot);
      const changed = slot.heldBack !== held;
      slot.heldBack = held;
      const { target } = slot;
      if (target === null) continue;
      yield { target, destination: held ? null : slot.destination };
      if (changed) this.#shown(slot);
    }
  }
}
