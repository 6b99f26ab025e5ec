import type { Clock } from '../../clock.ts';
import { type Logger, Throttle } from '../../log/logger.ts';
import { BusError } from '../bus.ts';
import type { NatsBus } from './nats-bus.ts';

/** How soon a bucket that cannot be opened is tried again, ms. */
const RETRY_MS = 1000;
/** The same trouble is logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/** The buckets of an installation: makes sure that they exist, and are as the settings say. */
export class NatsBuckets {
  readonly #missing: Set<string>;
  readonly #bus: Pick<NatsBus, 'open' | 'link'>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #throttle: Throttle;

  constructor(
    buckets: readonly string[],
    deps: { readonly bus: Pick<NatsBus, 'open' | 'link'>; readonly clock: Clock; readonly logger: Logger },
  ) {
    const { bus, clock, logger } = deps;
    this.#missing = new Set(buckets);
    this.#bus = bus;
    this.#clock = clock;
    this.#logger = logger;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
  }

  /** Looks at the buckets once. @throws BusError settings */
  async look(): Promise<void> {
    if (!this.#bus.link.connected) return;
    const outcomes = await Promise.all([...this.#missing].map((bucket) => this.#open(bucket)));
    const wrong = outcomes.find((outcome) => outcome !== null);
    if (wrong !== undefined) throw wrong;
  }

  /**
   * Looks until all buckets are there, or the bus is closed. A fault found now does not end the process: peers are
   * connected already.
   */
  async keepLooking(): Promise<void> {
    while (this.#missing.size > 0) {
      await new Promise<void>((resolve) => this.#clock.after(RETRY_MS, resolve));
      await this.look().catch((error: BusError) => {
        const { log, suppressed } = this.#throttle.admit(error.message);
        const { setting, message: why } = error;
        if (log) this.#logger.error({ setting, why, suppressed }, 'a bucket of NATS is not what the settings say');
      });
    }
  }

  async #open(bucket: string): Promise<BusError | null> {
    try {
      await this.#bus.open(bucket);
      this.#missing.delete(bucket);
    } catch (error) {
      if (error instanceof BusError && error.code === 'settings') return error;
      // The bus is closed, so nobody needs the buckets any more.
      if (error instanceof BusError && error.code === 'closed') this.#missing.clear();
      else if (this.#bus.link.connected) this.#wait(error as Error);
    }
    return null;
  }

  /** Logs why buckets are missing, one line for all that wait for the same reason. */
  #wait({ message: why }: Error): void {
    const { log, suppressed } = this.#throttle.admit(why);
    if (log) this.#logger.warn({ why, suppressed }, 'buckets of NATS cannot be had yet; they are waited for');
  }
}
