import type { Event, WatchEventsRequest, WatchEventsResponse } from '@spanmesh/proto/v1/events';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { EventHistory } from '@spanmesh/runtime/events/event-history';
import { eventFilter } from './event-filter.ts';
import { MAX_EVENTS_PER_MESSAGE, MAX_QUEUED_EVENTS } from './limits.ts';

/** How long events are gathered before they are sent, ms. */
const GATHER_MS = 50;
/** A watch sends something at least this often, ms. */
export const PROGRESS_MS = 10_000;

/** The part of the server's side of a watch that is used here. */
export interface EventStream {
  write(response: WatchEventsResponse): boolean;
  end(): void;
  on(event: 'drain' | 'cancelled', fn: () => void): unknown;
}

export interface EventWatchDependencies {
  readonly stream: EventStream;
  readonly history: EventHistory;
  /** Number of events that are known to have been lost on their way to this replica. */
  readonly lost: () => number;
  readonly clock: Clock;
  readonly onEnd: () => void;
}

/**
 * One watch of events. Events wait in a short queue; beyond its length the watch reads them from the history later, and
 * reports if the history has forgotten some.
 */
export class EventWatch {
  readonly #deps: EventWatchDependencies;
  readonly #isMeant: (event: Event) => boolean;
  readonly #stop: () => void;
  #queue: Event[] = [];
  /** Number of the last event that was put into the queue or filtered out. */
  #seen: number;
  /** Events were left out because the queue was full; they must be read from the history. */
  #isBehind = false;
  #isBlocked = false;
  #isOver = false;
  #historyLost: boolean;
  #gathering: Timer | undefined;
  #progress: Timer | undefined;

  /** Sends the first message at once. @throws ApiError INVALID_ARGUMENT */
  constructor({ resumeToken, kinds, subject, since }: WatchEventsRequest, deps: EventWatchDependencies) {
    this.#deps = deps;
    const { history, stream } = deps;
    // `since` selects only the first events: later ones may carry earlier times, because events can arrive late.
    this.#isMeant = eventFilter({ kinds, subject });
    const isFresh = resumeToken === '' && since !== undefined;
    const isMeantFirst = eventFilter({ kinds, subject, since: isFresh ? since : undefined });
    const before =
      resumeToken === '' ? { events: isFresh ? history.all() : [], historyLost: false } : history.since(resumeToken);
    this.#historyLost = before.historyLost;
    this.#queue = before.events.filter(isMeantFirst);
    this.#seen = history.end;
    this.#stop = history.listen((event) => this.#take(event));
    stream.on('drain', () => {
      this.#isBlocked = false;
      this.#pump();
    });
    stream.on('cancelled', () => this.end());
    this.#send(this.#queue.splice(0, MAX_EVENTS_PER_MESSAGE));
    this.#pump();
  }

  /** Ends the watch and its stream, if it has not ended. */
  end(): void {
    if (this.#isOver) return;
    this.abandon();
    this.#deps.stream.end();
  }

  /** Ends the watch without ending the stream, which the caller does. */
  abandon(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stop();
    this.#gathering?.cancel();
    this.#progress?.cancel();
    this.#deps.onEnd();
  }

  #take(event: Event): void {
    if (this.#isBehind) return;
    if (this.#isMeant(event)) {
      if (this.#queue.length >= MAX_QUEUED_EVENTS) {
        this.#isBehind = true;
        return;
      }
      this.#queue.push(event);
    }
    this.#seen = event.number;
    if (this.#queue.length === 0) return;
    this.#gathering ??= this.#deps.clock.after(GATHER_MS, () => {
      this.#gathering = undefined;
      this.#pump();
    });
  }

  #pump(): void {
    while (!this.#isOver && !this.#isBlocked) {
      if (this.#queue.length === 0 && !this.#catchUp()) return;
      this.#send(this.#queue.splice(0, MAX_EVENTS_PER_MESSAGE));
    }
  }

  /** Reads the events that the queue had no room for from the history. False: there are none. */
  #catchUp(): boolean {
    if (!this.#isBehind) return false;
    const { history } = this.#deps;
    this.#isBehind = false;
    this.#historyLost ||= history.hasDroppedAfter(this.#seen);
    this.#queue = history.after(this.#seen).filter(this.#isMeant);
    this.#seen = history.end;
    return this.#queue.length > 0;
  }

  #send(events: Event[]): void {
    const { stream, history, lost, clock } = this.#deps;
    // All but the last part of a batch carry the token of their last event.
    const upTo = this.#queue.length > 0 ? (events.at(-1)?.number ?? 0) : this.#seen;
    this.#isBlocked = !stream.write({
      events,
      resumeToken: history.tokenAt(upTo),
      historyLost: this.#historyLost,
      lost: lost(),
    });
    this.#historyLost = false;
    this.#progress?.cancel();
    this.#progress = clock.after(PROGRESS_MS, () => {
      if (!this.#isBlocked && this.#queue.length === 0) this.#send([]);
    });
  }
}
