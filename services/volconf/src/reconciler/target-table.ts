import type { Clock } from '@spanmesh/runtime/clock';
import { Target } from './target.ts';

/** Targets that want something or have something left, by owner. */
export class TargetTable {
  readonly #clock: Pick<Clock, 'wall'>;
  readonly #targets = new Map<string, Target>();
  /**
   * Highest generation of a target that was forgotten: one that is made anew goes on above it, because gateways remember what they were
   * ordered for its owner.
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

  /** The target of this owner, with whatever is left of an earlier life of it. */
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
