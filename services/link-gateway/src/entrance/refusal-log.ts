import type { Clock } from '@spanmesh/runtime/clock';

/** Principals that the log names for one reason within an interval. */
export const MAX_NAMED = 8;
/** Further principals that are counted for one reason within an interval. */
export const MAX_COUNTED = 1000;
/** Reasons that are remembered: a kind of refusal, and the file of the keys directory that decided it. */
export const MAX_REASONS = 256;

/** Refusals for one reason, for one interval. */
interface Interval {
  readonly until: number;
  readonly named: Set<string>;
  readonly unnamed: Set<string>;
  heldBack: number;
}

/** Whether a refusal is logged, and what its line says of refusals that were not. */
export interface RefusalLine {
  readonly log: boolean;
  /** Refusals for this reason that were not logged since the last line. */
  readonly suppressed: number;
  /** Principals of the interval before that no line has named; at most MAX_COUNTED are counted. */
  readonly others: number;
}

const NO_LINE: RefusalLine = { log: false, suppressed: 0, others: 0 };

/**
 * Decides which refused connections are logged: each principal once an interval for a reason, so that none hides behind
 * another; after MAX_NAMED principals the others are only counted, so that many addresses cannot flood the log.
 */
export class RefusalLog {
  readonly #intervalMs: number;
  readonly #clock: Clock;
  /** By reason, in the order in which the intervals began. */
  readonly #intervals = new Map<string, Interval>();

  constructor({ intervalMs }: { intervalMs: number }, { clock }: { clock: Clock }) {
    this.#intervalMs = intervalMs;
    this.#clock = clock;
  }

  /** A connection of this principal is refused. */
  admit(reason: string, principal: string): RefusalLine {
    const now = this.#clock.now();
    const known = this.#intervals.get(reason);
    if (known === undefined || now >= known.until) return this.#begin(reason, principal, now, known);
    if (known.named.has(principal) || known.named.size >= MAX_NAMED) {
      known.heldBack++;
      if (!known.named.has(principal) && known.unnamed.size < MAX_COUNTED) known.unnamed.add(principal);
      return NO_LINE;
    }
    known.named.add(principal);
    const suppressed = known.heldBack;
    known.heldBack = 0;
    return { log: true, suppressed, others: 0 };
  }

  #begin(reason: string, principal: string, now: number, before: Interval | undefined): RefusalLine {
    this.#intervals.delete(reason);
    if (this.#intervals.size >= MAX_REASONS) {
      const [oldest] = this.#intervals.keys();
      if (oldest !== undefined) this.#intervals.delete(oldest);
    }
    const until = now + this.#intervalMs;
    this.#intervals.set(reason, { until, named: new Set([principal]), unnamed: new Set(), heldBack: 0 });
    return { log: true, suppressed: before?.heldBack ?? 0, others: before?.unnamed.size ?? 0 };
  }
}
