import type { GatewayId } from '@spanmesh/spantree/ids';
/** Ids kept; the oldest go first. A gateway of one that is forgotten is taken on again, which harms nobody: its links are new then. */
export const MAX_GRAVES = 65_536;

/** Ids of gateways that were declared dead, or have said goodbye, in this leader's term: they do not live again. */
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

  /** Another term: its leader judges anew. */
  clear(): void {
    this.#ids.clear();
  }
}
