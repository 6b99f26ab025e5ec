import { type Event, EventKind } from '@spanmesh/proto/v1/events';
import { type Random, randomNonce, systemRandom } from '../random.ts';

/** Entries kept of one kind: a kind that comes often pushes no other out. */
export const MAX_EVENTS_PER_KIND = 1024;
/** Entries kept of one kind about one principal; what comes on top is counted on the last of them. */
export const MAX_EVENTS_PER_PRINCIPAL = 8;
/** The same of an operator's acts: who did what is asked for later, one by one. */
export const MAX_ACTS_PER_PRINCIPAL = 512;

/** An event as it happened, before it has a place in the history. */
export type NewEvent = Omit<Event, 'number' | 'firstTime' | 'count'>;

interface Entry {
  readonly event: Event;
  readonly principal: string;
}

interface Kind {
  /** By number, the oldest first. */
  readonly entries: Map<number, Entry>;
  /** Numbers of the entries of each principal, the oldest first. */
  readonly byPrincipal: Map<string, number[]>;
}

/** What came after a token. */
export interface EventsSince {
  /** In order of number. */
  readonly events: Event[];
  /** The token is not of this history, or entries after it have been dropped. */
  readonly historyLost: boolean;
}

/**
 * What happened, bounded twice: by kind, and within a kind by principal. A principal is who caused it (a key's name, an address, a token):
 * connections of one peer have different ids, so that the subject would not tell that it is the same peer that comes and goes.
 */
export class EventHistory {
  readonly #id: string;
  readonly #kinds = new Map<EventKind, Kind>();
  readonly #listeners = new Set<(event: Event) => void>();
  #number = 0;
  /** Highest number of an entry that was dropped to make room. One that was counted on a later entry is not dropped. */
  #droppedTo = 0;

  constructor({ random = systemRandom }: { random?: Random } = {}) {
    this.#id = randomNonce(random);
  }

  /** Resume from here: opaque to users. */
  get token(): string {
    return `${this.#id}.${this.#number}`;
  }

  /** Takes an event in; gives the entry that it has become. `principal`: who caused it. */
  add(event: NewEvent, principal: string): Event {
    const kind = this.#kind(event.kind);
    let numbers = kind.byPrincipal.get(principal);
    if (numbers === undefined) {
      numbers = [];
      kind.byPrincipal.set(principal, numbers);
    }
    const repeated = numbers.length >= limitOf(event.kind) ? kind.entries.get(numbers.pop() ?? 0) : undefined;
    if (repeated !== undefined) kind.entries.delete(repeated.event.number);
    this.#number += 1;
    const added: Event = {
      ...event,
      number: this.#number,
      firstTime: repeated?.event.firstTime ?? event.time,
      count: (repeated?.event.count ?? 0) + 1,
    };
    kind.entries.set(added.number, { event: added, principal });
    numbers.push(added.number);
    if (kind.entries.size > MAX_EVENTS_PER_KIND) this.#dropOldest(kind);
    for (const listener of this.#listeners) listener(added);
    return added;
  }

  /** All entries, in order of number. */
  all(): Event[] {
    return this.#after(0);
  }

  /** Entries after a token; with one that does not fit, all there are. */
  since(token: string): EventsSince {
    const number = this.#numberOf(token);
    if (number === null) return { events: this.all(), historyLost: true };
    return { events: this.#after(number), historyLost: number < this.#droppedTo };
  }

  /** Calls `fn` with each entry that is added from now on; gives what ends that. */
  listen(fn: (event: Event) => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  #after(number: number): Event[] {
    const events: Event[] = [];
    for (const { entries } of this.#kinds.values()) {
      for (const { event } of entries.values()) if (event.number > number) events.push(event);
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
    for (const [number, { principal }] of kind.entries) {
      kind.entries.delete(number);
      this.#droppedTo = Math.max(this.#droppedTo, number);
      const numbers = kind.byPrincipal.get(principal);
      numbers?.shift();
      if (numbers?.length === 0) kind.byPrincipal.delete(principal);
      return;
    }
  }

  /** null: not a number of this history. */
  #numberOf(token: string): number | null {
    const [id, digits = '', ...rest] = token.split('.', 3);
    if (id !== this.#id || rest.length > 0 || !/^\d{1,15}$/.test(digits)) return null;
    const number = Number(digits);
    return number <= this.#number ? number : null;
  }
}

function limitOf(kind: EventKind): number {
  return kind === EventKind.EVENT_KIND_OPERATOR_ACT ? MAX_ACTS_PER_PRINCIPAL : MAX_EVENTS_PER_PRINCIPAL;
}
