import type { Logger, Throttle } from '../log/logger.ts';
import type { PoolLimit } from './pool.ts';

/** Where it is told that a principal has come to a bound: the one place that a log line, or anything else, is made of it. */
export class ShareLog {
  readonly #logger: Logger;
  readonly #throttle: Pick<Throttle, 'admit'>;
  #onLimited: (limit: PoolLimit) => void = () => {};

  constructor(deps: { readonly logger: Logger; readonly throttle: Pick<Throttle, 'admit'> }) {
    this.#logger = deps.logger;
    this.#throttle = deps.throttle;
  }

  /** Called with what is logged, once an interval for a principal and resource. */
  set onLimited(fn: (limit: PoolLimit) => void) {
    this.#onLimited = fn;
  }

  limited(limit: PoolLimit): void {
    const { log, suppressed } = this.#throttle.admit(`share ${limit.resource} ${limit.principal}`);
    if (!log) return;
    const advice = 'look at what connects from there; raise the total, or the share, if it is right';
    this.#logger.warn({ ...limit, advice, suppressed }, 'a principal has more than its share');
    this.#onLimited(limit);
  }
}
