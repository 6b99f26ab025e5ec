import { type Event, EventKind } from '@spanmesh/proto/v1/events';
import type { Clock } from '../clock.ts';
import { type Random, randomNonce, systemRandom } from '../random.ts';

/** Entries kept of one kind: a frequent kind must not push out others. */
export const MAX_EVENTS_PER_KIND = 1024;
/** Entries kept of one kind about one principal; beyond that, the two oldest become one entry with a count. */
export const MAX_EVENTS_PER_PRINCIPAL = 64;
/** Operators' acts kept of one principal: more than of other events, because people ask for them later, one by one. */
export const MAX_ACTS_PER_PRINCIPAL = 256;
/**
 * A token of another replica is taken as this much older than it says, ms, because events reach replicas at different
 * times.
 */
export const RESUME_OVERLAP_MS = 5000;

interface Entry {
  event: Event;
  /** When the event came here, milliseconds since 1970. */
  readonly at: number;
}

interface Kind {
  /** Entries by number, the oldest first. */
  readonly entries: Map<number, Entry>;
  /** Numbers of the entries of each principal, the oldest first. */
  readonly byPrincipal: Map<string, number[]>;
}

/** The events after a token. */
export interface EventsSince {
  /** In order of number. */
  readonly events: Event[];
  /** Whether events may be missing: the token is of an unknown replica, or entries after it were dropped. */
  readonly historyLost: boolean;
}

/** What a token says: a number of this history, or for another replica's token a time. */
type Place = { readonly kind: 'number'; readonly number: number } | { readonly kind: 'time'; readonly at: number };

/**
 * The history of events, limited twice: by kind, and within a kind by principal. A principal is who caused the event (a
 * key, an address, an operator). It is counted by principal, not by subject, because connections of one peer have
 * different ids, so subjects would not show that one peer comes and goes.
 */
export class EventHistory {
  readonly #id: string;
  readonly #clock: Pick<Clock, 'wall'>;
  readonly #startedAt: number;
  readonly #kinds = new Map<EventKind, Kind>();
  readonly #listeners = new Set<(event: Event) => void>();
  #number = 0;
  /** The latest entry dropped to make room; an entry that was counted together with another is not dropped. */
  #dropped = { number: 0, at: 0 };

  constructor({ clock, random = systemRandom }: { readonly clock: Pick<Clock, 'wall'>; readonly random?: Random }) {
    this.#id = randomNonce(random).replaceAll('-', '');
    this.#clock = clock;
    this.#startedAt = clock.wall();
  }

  /** Token from which a reader resumes after all present entries; opaque to users. */
  get token(): string {
    return this.tokenAt(this.#number);
  }

  /** Token from which a reader resumes after the entry with this number. */
  tokenAt(number: number): string {
    return `${this.#id}.${number}.${this.#clock.wall()}`;
  }

  /** Number of the last entry. */
  get end(): number {
    return this.#number;
  }

  /** Adds an event and numbers it; returns its entry. */
  add(event: Event): Event {
    const kind = this.#kind(event.kind);
    this.#number += 1;
    const added: Event = { ...event, number: this.#number };
    kind.entries.set(added.number, { event: added, at: this.#clock.wall() });
    const numbers = kind.byPrincipal.get(event.principal);
    if (numbers === undefined) kind.byPrincipal.set(event.principal, [added.number]);
    else {
      numbers.push(added.number);
      if (numbers.length > limitOf(event.kind)) countTogether(kind, numbers);
    }
    if (kind.entries.size > MAX_EVENTS_PER_KIND) this.#dropOldest(kind);
    for (const listener of this.#listeners) listener(added);
    return added;
  }

  /** All entries, in order of number. */
  all(): Event[] {
    return this.after(0);
  }

  /** Entries with a higher number, in order. */
  after(number: number): Event[] {
    return this.#entries(({ event }) => event.number > number);
  }

  /** Whether entries with a higher number have been dropped to make room. */
  hasDroppedAfter(number: number): boolean {
    return number < this.#dropped.number;
  }

  /**
   * Entries after a token: by number for a token of this history, by time for one of another replica. If it is no
   * token, all entries.
   */
  since(token: string): EventsSince {
    const place = this.#placeOf(token);
    if (place === null) return { events: this.all(), historyLost: true };
    if (place.kind === 'number') {
      return { events: this.after(place.number), historyLost: this.hasDroppedAfter(place.number) };
    }
    const from = place.at - RESUME_OVERLAP_MS;
    return {
      events: this.#entries(({ at }) => at >= from),
      historyLost: this.#startedAt > place.at || this.#dropped.at >= place.at,
    };
  }

  /** The number in a token of this history; null: it is another token, or none. */
  numberOf(token: string): number | null {
    const place = this.#placeOf(token);
    return place?.kind === 'number' ? place.number : null;
  }

  /** Calls `fn` with each entry that is added from now on; returns a function that ends this. */
  listen(fn: (event: Event) => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  #entries(isMeant: (entry: Entry) => boolean): Event[] {
    const events: Event[] = [];
    for (const { entries } of this.#kinds.values()) {
      for (const entry of entries.values()) if (isMeant(entry)) events.push(entry.event);
    }
    return events.sort((a, b) => a.number - b.number);
  }

  #kind(of: EventKind): Kind {
    let kind = this.#kinds.get(of);
    if (kind === undefined) {
      kind = { entries: new Map(), byPrincipal: new Map() };
      this.#kinds.set(of, kind);
    }
    return kind;
  }

  #dropOldest(kind: Kind): void {
    for (const [number, { event, at }] of kind.entries) {
      kind.entries.delete(number);
      this.#dropped = { number: Math.max(this.#dropped.number, number), at };
      const numbers = kind.byPrincipal.get(event.principal);
      numbers?.shift();
      if (numbers?.length === 0) kind.byPrincipal.delete(event.principal);
      return;
    }
  }

  /** null: the text is no token. */
  #placeOf(token: string): Place | null {
    const [, id, digits, ms] = /^([0-9a-f]{32})\.(\d{1,15})\.(\d{1,15})$/.exec(token) ?? [];
    if (id === undefined) return null;
    if (id !== this.#id) return { kind: 'time', at: Number(ms) };
    const number = Number(digits);
    return number <= this.#number ? { kind: 'number', number } : null;
  }
}

/** Counts a principal's oldest entry together with the next one: recent events stay separate. */
function countTogether({ entries }: Kind, numbers: number[]): void {
  const oldest = entries.get(numbers.shift() ?? 0);
  const next = entries.get(numbers[0] ?? 0);
  if (oldest === undefined || next === undefined) return;
  entries.delete(oldest.event.number);
  const { firstTime, count } = oldest.event;
  next.event = { ...next.event, firstTime, count: next.event.count + count };
}

function limitOf(kind: EventKind): number {
  return kind === EventKind.EVENT_KIND_OPERATOR_ACT ? MAX_ACTS_PER_PRINCIPAL : MAX_EVENTS_PER_PRINCIPAL;
}
