import type { Event } from '@spanmesh/proto/v1/events';

/** Most events whose ids are remembered. */
export const MAX_REMEMBERED = 8192;

/** Remembers which events have been seen, because another replica may send some of them again. */
export class SeenEvents {
  readonly #ids = new Set<string>();

  /** The events that were not seen before; they count as seen from now on. */
  fresh(events: readonly Event[]): Event[] {
    return events.filter(({ id }) => {
      if (this.#ids.has(id)) return false;
      this.#ids.add(id);
      if (this.#ids.size > MAX_REMEMBERED) this.#ids.delete(this.#ids.values().next().value ?? '');
      return true;
    });
  }
}
