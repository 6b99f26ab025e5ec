import type { PoolLimit } from './pool.ts';

/** Principals that are named, each for each limit; the ones that have not come to theirs for the longest time go first. */
export const MAX_LIMITS_HIT = 16;
/** Who has not come to a limit for so long is at it no more, ms. */
export const AT_LIMIT_MS = 60_000;

/** A principal that is at a limit. */
export interface LimitHit extends PoolLimit {
  /** How often it was refused, or gave way, since it came to the limit. */
  readonly times: number;
  /** For how long it has come to the limit again and again, ms. */
  readonly forMs: number;
  /** How long ago it did for the last time, ms. */
  readonly agoMs: number;
}

interface Hit {
  limit: PoolLimit;
  times: number;
  readonly since: number;
  last: number;
}

/** Who is at a limit now, for `spanmesh status`: events and the log say it once an interval, and are elsewhere. Bounded. */
export class LimitsHit {
  /** By limit and principal, the ones first that have not come to theirs for the longest time. */
  readonly #hits = new Map<string, Hit>();
  readonly #now: () => number;

  /** `now`: monotonic, ms. */
  constructor({ now = () => performance.now() }: { readonly now?: () => number } = {}) {
    this.#now = now;
  }

  /** `name`: of the principal and what is limited, together. */
  note(name: string, limit: PoolLimit): void {
    const now = this.#now();
    const known = this.#hits.get(name);
    this.#hits.delete(name);
    if (known !== undefined && now - known.last < AT_LIMIT_MS) {
      known.limit = limit;
      known.times++;
      known.last = now;
      this.#hits.set(name, known);
      return;
    }
    this.#hits.set(name, { limit, times: 1, since: now, last: now });
    if (this.#hits.size <= MAX_LIMITS_HIT) return;
    const [oldest] = this.#hits.keys();
    if (oldest !== undefined) this.#hits.delete(oldest);
  }

  /** Principals that are at a limit now, the most often refused first. */
  get all(): LimitHit[] {
    const now = this.#now();
    for (const [name, { last }] of this.#hits) if (now - last >= AT_LIMIT_MS) this.#hits.delete(name);
    const all = [...this.#hits.values()].map(({ limit, times, since, last }) => ({
      ...limit,
      times,
      forMs: now - since,
      agoMs: now - last,
    }));
    return all.sort((a, b) => b.times - a.times);
  }
}

/** The limits of this process. */
export const limitsHit = new LimitsHit();
