import type { Event } from '@spanmesh/proto/v1/events';
import type { EventHistory } from './event-history.ts';
import { EVENT_KINDS, eventKindName } from './event-kind-name.ts';

/** Processes whose last event numbers are remembered; the one silent for longest is forgotten first. */
export const MAX_SOURCES = 8192;
/** Events that wait until another replica's history has been read; the oldest are lost first. */
export const MAX_EARLY_EVENTS = 8192;

const ID = /^([0-9a-f]{32})\.(\d{1,15})$/;

/** Puts events of all processes into one history, each once, whichever way it came, and counts missing ones. */
export class EventCollector {
  /** Events that are known to have been lost on their way. */
  lost = 0;
  /** Number of events of each kind that were reported to this replica, by the kind's name. */
  readonly counts: Record<string, number> = Object.fromEntries([...EVENT_KINDS.keys()].map((kind) => [kind, 0]));
  readonly #history: EventHistory;
  /** The highest event number of each process, in the order in which processes were last heard. */
  readonly #numbers = new Map<string, number>();
  /** Events that came before `begin`; null: it was called. */
  #early: Event[] | null = [];

  constructor({ history }: { readonly history: EventHistory }) {
    this.#history = history;
  }

  /**
   * Begins the history; events that came before this call were kept waiting. `before`: the history of another replica,
   * in order.
   */
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

  /** `isCopy`: the event is from another history, whose numbers have gaps where events were counted together. */
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
    // A later version has kinds that this one does not know.
    if (!isCopy && EVENT_KINDS.has(kind)) this.counts[kind] = (this.counts[kind] ?? 0) + event.count;
    this.#numbers.delete(source);
    this.#numbers.set(source, Math.max(number, known ?? 0));
    if (this.#numbers.size > MAX_SOURCES) this.#numbers.delete(this.#numbers.keys().next().value ?? '');
    this.#history.add(event);
  }
}
