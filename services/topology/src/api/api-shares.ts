import { status } from '@grpc/grpc-js';
import type { Clock } from '@spanmesh/runtime/clock';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import { Pool } from '@spanmesh/runtime/shares/pool';
import { ShareLog } from '@spanmesh/runtime/shares/share-log';
import {
  MAX_ANSWERS,
  MAX_ANSWERS_PER_USER,
  MAX_TRAFFIC_ANSWERS,
  MAX_TRAFFIC_ANSWERS_PER_USER,
  MAX_TREES,
  MAX_TREES_PER_USER,
  MAX_WATCHES,
  MAX_WATCHES_PER_USER,
} from './limits.ts';

/** The same user's limits are logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/** Something that is being answered; null: it cannot be ended before it is over. */
interface Answer {
  readonly giveWay: ((error: ApiError) => void) | null;
  close(): void;
}

type Kind = 'watches' | 'trees' | 'answers' | 'answers about traffic';

/** What users of the API share of one replica. */
export class ApiShares {
  readonly #pools: Readonly<Record<Kind, Pool<Answer>>>;

  constructor({
    logger,
    clock,
    events,
  }: {
    readonly logger: Logger;
    readonly clock: Clock;
    readonly events?: EventTeller;
  }) {
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const log = new ShareLog({ logger, throttle, ...(events && { events }) });
    const pool = (resource: Kind, total: number, share: number) =>
      new Pool<Answer>(
        { resource, total, share },
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
    this.#pools = {
      watches: pool('watches', MAX_WATCHES, MAX_WATCHES_PER_USER),
      trees: pool('trees', MAX_TREES, MAX_TREES_PER_USER),
      answers: pool('answers', MAX_ANSWERS, MAX_ANSWERS_PER_USER),
      'answers about traffic': pool('answers about traffic', MAX_TRAFFIC_ANSWERS, MAX_TRAFFIC_ANSWERS_PER_USER),
    };
  }

  /**
   * One more, until what is returned is called. `giveWay` ends it when others need the room.
   * @throws ApiError RESOURCE_EXHAUSTED: there are too many.
   */
  begin(kind: Kind, principal: string, giveWay: ((error: ApiError) => void) | null = null): () => void {
    const pool = this.#pools[kind];
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
