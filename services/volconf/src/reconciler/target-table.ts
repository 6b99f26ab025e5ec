import type { Clock } from '@spanmesh/runtime/clock';
import { Target } from './target.ts';

/** Targets by owner: those that want a destination, and those that have leftovers. */
export class TargetTable {
  readonly #clock: Pick<Clock, 'wall'>;
  readonly #targets = new Map<string, Target>();
  /**
   * Highest generation of any forgotten target. A target that is made anew continues above it, because gateways
   * remember the orders for its owner.
   */
  #forgotten = 0;

  constructor({ clock }: { clock: Pick<Clock, 'wall'> }) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#targets.size;
  }

  [Symbol.iterator](): Iterator<Target> {
    return this.#targets.values();
  }

  /** Connections of earlier orders that may still be established. */
  get leftovers(): number {
    let count = 0;
    for (const { leftovers } of this.#targets.values()) count += leftovers.size;
    return count;
  }

  get(owner: string): Target | undefined {
    return this.#targets.get(owner);
  }

  /** The target of this owner, with the leftovers of an earlier target of the same owner. */
  of(owner: string, label: string): Target {
    let target = this.#targets.get(owner);
    if (target === undefined) {
      target = new Target(owner, label, this.#clock.wall());
      target.generation = this.#forgotten;
      this.#targets.set(owner, target);
    }
    target.label = label;
    return target;
  }

  forget(target: Target): void {
    if (this.#targets.get(target.owner) !== target) return;
    this.#targets.delete(target.owner);
    this.#forgotten = Math.max(this.#forgotten, target.generation);
  }
}
