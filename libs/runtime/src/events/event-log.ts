import type { Event } from '@spanmesh/proto/v1/events';
import type { Bus } from '../bus/bus.ts';
import { EVENT_REPORTS } from '../bus/bus-names.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Logger } from '../log/logger.ts';
import { type Random, randomNonce } from '../random.ts';
import { bounded, encodeReport, MAX_REPORTED_EVENTS } from './event-report.ts';
import type { EventTeller, Happened, TellOptions } from './event-teller.ts';
import { eventLine } from './event-words.ts';

/**
 * Events of one kind that one principal may cause in BURST_MS; further ones are reported together when that time is
 * over.
 */
export const MAX_BURST = 64;
/** The interval of MAX_BURST, ms. */
export const BURST_MS = 10_000;
/** How often repeats of an event are reported, together, after the first one, ms. */
export const REPEAT_MS = 60_000;
/** Pairs of kind and principal (or repeated events) that are counted; events beyond this number are lost. */
export const MAX_COUNTED = 8192;
/** Events that wait for the bus; the oldest are lost first. */
export const MAX_WAITING_EVENTS = 4096;
/** How long events are collected for one report, ms. */
const GATHER_MS = 100;
/** How often a bus that is away is tried, and counts are checked, ms. */
const LOOK_MS = 2000;

/** The count of one kind and principal: when an event is reported next, and how many are not reported yet. */
interface Counted {
  until: number;
  left: number;
  readonly intervalMs: number;
  readonly burst: number;
  /** The last event that was not reported. */
  held: Happened | null;
  isLogged: boolean;
  count: number;
  firstAt: number;
}

export interface EventLogDependencies {
  readonly bus: Pick<Bus, 'publish'>;
  /** Whether the bus reaches other processes; default: always. */
  readonly isConnected?: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
}

/**
 * Reports what a process has seen, for people. It is on no path of messages: it is called when something begins or
 * ends, its work is limited for each principal, and reports that cannot be sent are dropped, which a gap in the numbers
 * shows.
 */
export class EventLog implements EventTeller {
  readonly #reporter: () => string;
  readonly #deps: EventLogDependencies;
  readonly #source: string;
  readonly #counted = new Map<string, Counted>();
  readonly #listeners = new Set<(event: Event) => void>();
  #waiting: Event[] = [];
  #number = 0;
  #gathering: Timer | null = null;
  #looking: Timer | null = null;

  /** `reporter`: the name of this process, asked for with each event. */
  constructor({ reporter }: { readonly reporter: () => string }, deps: EventLogDependencies) {
    this.#reporter = reporter;
    this.#deps = deps;
    this.#source = randomNonce(deps.random).replaceAll('-', '');
  }

  tell(happened: Happened, { repeats, isLogged = false }: TellOptions = {}): void {
    const { clock } = this.#deps;
    const now = clock.now();
    const wall = clock.wall();
    const key = `${happened.kind} ${repeats ?? happened.principal}`;
    const counted = this.#counted.get(key);
    if (counted === undefined) {
      if (this.#counted.size >= MAX_COUNTED) {
        // The gap in the numbers shows it.
        this.#number++;
        return;
      }
      const limits =
        repeats === undefined ? { intervalMs: BURST_MS, burst: MAX_BURST } : { intervalMs: REPEAT_MS, burst: 1 };
      const left = limits.burst - 1;
      this.#counted.set(key, {
        ...limits,
        left,
        until: now + limits.intervalMs,
        held: null,
        isLogged,
        count: 0,
        firstAt: 0,
      });
      this.#arm();
    } else if (counted.left > 0) counted.left--;
    else {
      counted.held = happened;
      counted.isLogged = isLogged;
      if (counted.count++ === 0) counted.firstAt = wall;
      return;
    }
    this.#emit(happened, { isLogged, count: 1, firstAt: wall });
  }

  /** Calls `fn` with each event of this process at once, whether or not the bus takes it. */
  listen(fn: (event: Event) => void): void {
    this.#listeners.add(fn);
  }

  /** Sends all events that are still held back. The bus must still be open. */
  stop(): void {
    for (const counted of this.#counted.values()) this.#release(counted);
    this.#counted.clear();
    this.#looking?.cancel();
    this.#looking = null;
    this.#gathering?.cancel();
    this.#gathering = null;
    this.#publish();
  }

  #emit(
    happened: Happened,
    { isLogged, count, firstAt }: { readonly isLogged: boolean; readonly count: number; readonly firstAt: number },
  ): void {
    const { clock, logger } = this.#deps;
    const event = bounded({
      ...happened,
      number: 0,
      id: `${this.#source}.${++this.#number}`,
      time: new Date(clock.wall()),
      firstTime: new Date(firstAt),
      count,
      reporter: this.#reporter(),
    });
    if (!isLogged) {
      const { fields, words } = eventLine(event);
      logger.info(fields, words);
    }
    for (const listener of this.#listeners) listener(event);
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_WAITING_EVENTS) this.#waiting.shift();
    this.#gathering ??= clock.after(GATHER_MS, () => this.#flush());
  }

  #flush(): void {
    const { clock, isConnected = () => true } = this.#deps;
    this.#gathering = null;
    if (isConnected()) this.#publish();
    else this.#gathering = clock.after(LOOK_MS, () => this.#flush());
  }

  #publish(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      for (let i = 0; i < waiting.length; i += MAX_REPORTED_EVENTS) {
        this.#deps.bus.publish(EVENT_REPORTS, encodeReport(waiting.slice(i, i + MAX_REPORTED_EVENTS)));
      }
    } catch {
      // The bus is closed: no reports can be sent any more.
    }
  }

  #arm(): void {
    this.#looking ??= this.#deps.clock.after(LOOK_MS, () => {
      this.#looking = null;
      this.#look();
      if (this.#counted.size > 0) this.#arm();
    });
  }

  #look(): void {
    const now = this.#deps.clock.now();
    for (const [key, counted] of this.#counted) {
      if (now < counted.until) continue;
      if (this.#release(counted)) {
        counted.until = now + counted.intervalMs;
        counted.left = counted.burst - 1;
      } else this.#counted.delete(key);
    }
  }

  /** Reports together the events that were held back. False: there were none. */
  #release(counted: Counted): boolean {
    const { held, isLogged, count, firstAt } = counted;
    if (held === null) return false;
    counted.held = null;
    counted.count = 0;
    this.#emit(held, { isLogged, count, firstAt });
    return true;
  }
}
