import { EventKind } from '@spanmesh/proto/v1/events';
import { type EventTeller, NO_EVENTS } from '../events/event-teller.ts';
import type { Logger, Throttle } from '../log/logger.ts';
import { type LimitsHit, limitsHit } from './limits-hit.ts';
import type { PoolLimit } from './pool.ts';

/** Reports that a principal has reached a limit: the only place that makes a log line, and an event, of it. */
export class ShareLog {
  readonly #logger: Logger;
  readonly #throttle: Pick<Throttle, 'admit'>;
  readonly #events: EventTeller;
  readonly #hits: LimitsHit;

  constructor(deps: {
    readonly logger: Logger;
    readonly throttle: Pick<Throttle, 'admit'>;
    /** Default: no events are reported. */
    readonly events?: EventTeller;
    /** The list of principals at a limit; default: that of this process. */
    readonly hits?: LimitsHit;
  }) {
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
    if (!log) return;
    const advice = 'look at what connects from there; raise the total, or the share, if it is right';
    this.#logger.warn({ ...limit, advice, suppressed }, 'a principal has more than its share');
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

  /** It is kept from something because of that, as `spanmesh status` says until what is returned is called. */
  withholds(limit: PoolLimit): () => void {
    return this.#hits.withhold(nameOf(limit), limit);
  }
}

function nameOf({ resource, principal }: PoolLimit): string {
  return `share ${resource} ${principal}`;
}
