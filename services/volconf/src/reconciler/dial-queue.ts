import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { Target } from './target.ts';

/** Share of all concurrent attempts that is reserved for principals that have no attempt under way. */
const RESERVED_PART = 1 / 16;

/**
 * The targets whose attempt is due, in turns between the principals who asked for them, and the number of attempts
 * under way of each principal. So a principal with thousands of targets that do not answer does not keep others
 * waiting.
 */
export class DialQueue {
  readonly #max: number;
  readonly #shared: number;
  /** By principal, the one whose turn is next first; the targets of each oldest first. */
  readonly #waiting = new Map<string, Set<Target>>();
  readonly #underWay = new Map<string, number>();
  #dialling = 0;
  #size = 0;

  /** `max`: attempts under way at a time. */
  constructor({ max }: { max: number }) {
    this.#max = max;
    this.#shared = max - Math.floor(max * RESERVED_PART);
  }

  get size(): number {
    return this.#size;
  }

  tables(): TableSizes {
    return {
      due: this.#size,
      principalsThatWait: this.#waiting.size,
      principalsUnderWay: this.#underWay.size,
      dialling: this.#dialling,
    };
  }

  /** Attempts under way. */
  get dialling(): number {
    return this.#dialling;
  }

  *[Symbol.iterator](): Iterator<Target> {
    for (const targets of this.#waiting.values()) yield* targets;
  }

  add(target: Target): void {
    let targets = this.#waiting.get(target.principal);
    if (targets === undefined) {
      targets = new Set();
      this.#waiting.set(target.principal, targets);
    }
    if (targets.has(target)) return;
    targets.add(target);
    this.#size++;
  }

  delete(target: Target): void {
    const targets = this.#waiting.get(target.principal);
    if (targets?.delete(target) !== true) return;
    this.#size--;
    if (targets.size === 0) this.#waiting.delete(target.principal);
  }

  clear(): void {
    this.#waiting.clear();
    this.#size = 0;
  }

  /** The target whose attempt may begin now, which stays in the queue; undefined: none may. */
  get next(): Target | undefined {
    if (this.#dialling >= this.#max) return undefined;
    for (const [principal, targets] of this.#waiting) {
      if (this.#dialling >= this.#shared && this.#underWay.has(principal)) continue;
      const [first] = targets;
      return first;
    }
    return undefined;
  }

  /**
   * Begins the target's attempt, and moves its principal to the end of the turns. Returns the principal; call `end`
   * with it when the attempt is over.
   */
  begin(target: Target): string {
    const { principal } = target;
    this.delete(target);
    const rest = this.#waiting.get(principal);
    if (rest !== undefined) {
      this.#waiting.delete(principal);
      this.#waiting.set(principal, rest);
    }
    this.#dialling++;
    this.#underWay.set(principal, (this.#underWay.get(principal) ?? 0) + 1);
    return principal;
  }

  end(principal: string): void {
    this.#dialling--;
    const left = (this.#underWay.get(principal) ?? 1) - 1;
    if (left === 0) this.#underWay.delete(principal);
    else this.#underWay.set(principal, left);
  }
}
