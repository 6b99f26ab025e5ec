import type { GatewayId } from '@spanmesh/spantree/ids';
/**
 * Ids kept; the oldest are forgotten first. A gateway whose id was forgotten can attach again, which does no harm: its
 * links count as new then.
 */
export const MAX_GRAVES = 65_536;

/** Ids of gateways that were declared dead, or have said goodbye, in this leader's term: they may not attach again. */
export class Graves {
  readonly #ids = new Set<string>();
  readonly #max: number;

  constructor({ max = MAX_GRAVES }: { max?: number } = {}) {
    this.#max = max;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(id: GatewayId): boolean {
    return this.#ids.has(id);
  }

  add(id: GatewayId): void {
    this.#ids.add(id);
    if (this.#ids.size <= this.#max) return;
    const oldest = this.#ids.values().next();
    if (oldest.done !== true) this.#ids.delete(oldest.value);
  }

  /** Forgets all ids: a new term begins. */
  clear(): void {
    this.#ids.clear();
  }
}
