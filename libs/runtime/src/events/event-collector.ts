import type { Event } from '@spanmesh/proto/v1/events';
import type { EventHistory } from './event-history.ts';
import { EVENT_KINDS, eventKindName } from './event-kind-name.ts';

/** Processes whose numbers are remembered; the one silent for longest goes first. */
export const MAX_SOURCES = 8192;
/** Events that wait until the history of another replica has been read; the oldest are lost first. */
export const MAX_EARLY_EVENTS = 8192;

const ID = /^([0-9a-f]{32})\.(\d{1,15})$/;

/** Puts events of all processes into one history: each once, whichever way it came, and counts the missing ones. */
export class EventCollector {
  /** Events that are known to have been lost on their way. */
  lost = 0;
  /** How often each kind has happened, as far as it was heard here, by its name. */
  readonly counts: Record<string, number> = Object.fromEntries([...EVENT_KINDS.keys()].map((kind) => [kind, 0]));
  readonly #history: EventHistory;
  /** The highest number of each source, those heard last at the end. */
  readonly #numbers = new Map<string, number>();
  /** Events that came before `begin`; null: it has begun. */
  #early: Event[] | null = [];

  constructor({ history }: { readonly history: EventHistory }) {
    this.#history = history;
  }

  /** Until this is called, what comes waits. `before`: the history of another replica, in order. */
  begin(before: readonly Event[]): void {
    const early = this.#early;
    if (early === null) return;
    this.#early = null;
    for (const event of before) this.#take(event, { isCopy: true });
    for (const event of early) this.take(event);
  }

  take(event: Event): void {
    if (this.#early === null) {
      this.#take(event, { isCopy: false });
      return;
    }
    this.#early.push(event);
    if (this.#early.length > MAX_EARLY_EVENTS) this.#early.shift();
  }

  /** `isCopy`: of a history, whose numbers have gaps where it has counted events together. */
  #take(event: Event, { isCopy }: { readonly isCopy: boolean }): void {
    const [, source, digits] = ID.exec(event.id) ?? [];
    if (source === undefined) return;
    const number = Number(digits);
    const known = this.#numbers.get(source);
    if (!isCopy && known !== undefined) {
      if (number <= known) return;
      this.lost += number - known - 1;
    }
    const kind = eventKindName(event.kind);
    // A later version has more of them.
    if (!isCopy && EVENT_KINDS.has(kind)) this.counts[kind] = (this.counts[kind] ?? 0) + event.count;
    this.#numbers.delete(source);
    this.#numbers.set(source, Math.max(number, known ?? 0));
    if (this.#numbers.size > MAX_SOURCES) this.#numbers.delete(this.#numbers.keys().next().value ?? '');
    this.#history.add(event);
  }
}
