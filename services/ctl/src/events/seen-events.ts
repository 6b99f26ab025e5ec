import type { Event } from '@spanmesh/proto/v1/events';

/** Events that are remembered. */
export const MAX_REMEMBERED = 8192;

/** Which events have been seen: another replica may tell some once more. */
export class SeenEvents {
  readonly #ids = new Set<string>();

  /** The events that were not seen before. */
  fresh(events: readonly Event[]): Event[] {
    return events.filter(({ id }) => {
      if (this.#ids.has(id)) return false;
      this.#ids.add(id);
      if (this.#ids.size > MAX_REMEMBERED) this.#ids.delete(this.#ids.values().next().value ?? '');
      return true;
    });
  }
}
