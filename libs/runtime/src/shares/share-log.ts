import { EventKind } from '@spanmesh/proto/v1/events';
import type { Clock } from '../clock.ts';
import { type EventTeller, NO_EVENTS } from '../events/event-teller.ts';
import type { Logger, Throttle } from '../log/logger.ts';
import { type LimitsHit, limitsHit } from './limits-hit.ts';
import type { PoolLimit } from './pool.ts';

/** Pairs of principal and resource that the log and events report in one interval. Further ones are only counted. */
export const MAX_NAMED = 20;
/** After this time others are named, ms. */
export const NAMES_INTERVAL_MS = 10_000;

const ADVICE = 'look at what connects from there; raise the total, or the share, if it is right';

/**
 * Reports that a principal has reached a limit. Only this class makes log lines and events of that. Many principals
 * together cannot flood either: past MAX_NAMED in an interval one line at its end says how many more there were.
 */
export class ShareLog {
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  readonly #logger: Logger;
  readonly #throttle: Pick<Throttle, 'admit'>;
  readonly #events: EventTeller;
  readonly #hits: LimitsHit;
  /** End of the present interval, on the clock's monotonic scale; how many are named in it, and how many are not. */
  #until = Number.NEGATIVE_INFINITY;
  #named = 0;
  #others = 0;

  constructor(deps: {
    readonly clock: Pick<Clock, 'now' | 'after'>;
    readonly logger: Logger;
    readonly throttle: Pick<Throttle, 'admit'>;
    /** Default: no events are reported. */
    readonly events?: EventTeller;
    /** The list of principals at a limit; default: that of this process. */
    readonly hits?: LimitsHit;
  }) {
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#throttle = deps.throttle;
    this.#events = deps.events ?? NO_EVENTS;
    this.#hits = deps.hits ?? limitsHit;
  }

  /** Reports a limit; the log and events get it once an interval for each principal and resource. */
  limited(limit: PoolLimit): void {
    const name = nameOf(limit);
    this.#hits.note(name, limit);
    const { log, suppressed } = this.#throttle.admit(name);
    if (!log || !this.#mayName()) return;
    this.#logger.warn({ ...limit, advice: ADVICE, suppressed }, 'a principal has more than its share');
    const { resource, bound, principal, held, limit: value } = limit;
    this.#events.tell(
      {
        kind: EventKind.EVENT_KIND_LIMIT_HIT,
        subject: principal,
        principal,
        limit: { limit: resource, principal, value, held, ofAll: bound === 'total' },
      },
      { isLogged: true },
    );
  }

  /**
   * Something is withheld from the principal because of the limit: `spanmesh status` says so until the returned
   * function is called.
   */
  withholds(limit: PoolLimit): () => void {
    return this.#hits.withhold(nameOf(limit), limit);
  }

  /** False: one more of the others. */
  #mayName(): boolean {
    const now = this.#clock.now();
    if (now >= this.#until) {
      this.#until = now + NAMES_INTERVAL_MS;
      this.#named = 0;
    }
    if (this.#named < MAX_NAMED) {
      this.#named++;
      return true;
    }
    if (this.#others++ === 0) this.#clock.after(this.#until - now, () => this.#tellOthers());
    return false;
  }

  #tellOthers(): void {
    const others = this.#others;
    this.#others = 0;
    this.#logger.warn({ others, advice: ADVICE }, 'further principals have more than their share');
  }
}

function nameOf({ resource, principal }: PoolLimit): string {
  return `share ${resource} ${principal}`;
}
