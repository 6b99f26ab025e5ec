import { status } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import type { LimitsHit } from '../shares/limits-hit.ts';
import { Pool } from '../shares/pool.ts';
import { ShareLog } from '../shares/share-log.ts';
import { ApiError } from './api-error.ts';

/** The same user's limits are logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/** How many calls of one kind may be open at a time. */
export interface CallLimit {
  /** Calls of all users together. */
  readonly total: number;
  /** Calls of one user. */
  readonly share: number;
}

export interface CallShareDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Where users who reach a limit are reported; default: only in the log. */
  readonly events?: EventTeller;
  /** The list of principals at a limit; default: that of this process. */
  readonly hits?: LimitsHit;
}

/** A call that is being answered; null: it cannot be ended early. */
interface Answer {
  readonly giveWay: ((error: ApiError) => void) | null;
  close(): void;
}

/**
 * The calls that users of an API share within one process, by kind: no user has more than his share, and the user with
 * most gives way to one with fewer.
 */
export class CallShares<Kind extends string> {
  readonly #pools: ReadonlyMap<Kind, Pool<Answer>>;

  /** The names of the kinds appear in error messages and log lines. */
  constructor(limits: Readonly<Record<Kind, CallLimit>>, { logger, clock, events, hits }: CallShareDeps) {
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const log = new ShareLog({ clock, logger, throttle, ...(events && { events }), ...(hits && { hits }) });
    const poolOf = (resource: Kind): Pool<Answer> => {
      const { total } = limits[resource];
      return new Pool<Answer>(
        { resource, ...limits[resource] },
        {
          evict: (answer) => {
            if (answer.giveWay === null) return;
            answer.close();
            answer.giveWay(
              new ApiError(status.RESOURCE_EXHAUSTED, `There are ${total} ${resource}, and you have most.`),
            );
          },
          limited: (limit) => log.limited(limit),
        },
      );
    };
    this.#pools = new Map((Object.keys(limits) as Kind[]).map((kind) => [kind, poolOf(kind)]));
  }

  /** Open calls of a kind. */
  held(kind: Kind): number {
    return this.#pools.get(kind)?.held ?? 0;
  }

  /**
   * Begins a call; it counts until the returned function is called. `giveWay` ends it when others need its place.
   * @throws ApiError RESOURCE_EXHAUSTED: there are too many.
   */
  begin(kind: Kind, principal: string, giveWay: ((error: ApiError) => void) | null = null): () => void {
    const pool = this.#pools.get(kind);
    if (pool === undefined) throw new TypeError(`${kind} is not shared`);
    const close = () => pool.close(holding);
    const holding = pool.open(principal, { giveWay, close });
    const bound = pool.take(holding);
    if (bound === null) return close;
    close();
    const { share, total } = pool.options;
    const details =
      bound === 'share'
        ? `You have ${share} ${kind} already: end some, or try again later.`
        : `There are ${total} ${kind} already: try again later.`;
    throw new ApiError(status.RESOURCE_EXHAUSTED, details);
  }
}
