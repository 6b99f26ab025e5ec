import type { PoolLimit } from './pool.ts';

/**
 * Entries that are kept, one for each principal and limit; those that have not reached their limit for longest are
 * dropped first.
 */
export const MAX_LIMITS_HIT = 16;
/** A principal that has not reached a limit for this time is not at the limit any more, ms. */
export const AT_LIMIT_MS = 60_000;

/** A principal at a limit. */
export interface LimitHit extends PoolLimit {
  /** How often it was refused, or gave way, since it first reached the limit. */
  readonly times: number;
  /** How long ago it first reached the limit, having reached it again and again since, ms. */
  readonly forMs: number;
  /** How long ago it last reached the limit, ms. */
  readonly agoMs: number;
  /** The limit withholds something from the principal for as long as the principal is listed. */
  readonly withheld: boolean;
}

interface Hit {
  limit: PoolLimit;
  times: number;
  readonly since: number;
  last: number;
}

/**
 * The principals that are at a limit now, for `spanmesh status`: events and the log report a limit only once an
 * interval, and may be kept on another host. At most MAX_LIMITS_HIT are listed, first those from which something is
 * withheld.
 */
export class LimitsHit {
  /** By limit and principal; those that have not reached their limit for longest come first. */
  readonly #hits = new Map<string, Hit>();
  /** Principals from which something is withheld, by limit and principal. */
  readonly #withheld = new Map<string, { readonly limit: PoolLimit; readonly since: number }>();
  readonly #now: () => number;

  /** `now`: monotonic, ms. */
  constructor({ now = () => performance.now() }: { readonly now?: () => number } = {}) {
    this.#now = now;
  }

  /** Notes that a principal has reached a limit. `name`: identifies the principal and the limit together. */
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

  /** Something is withheld from the principal because of the limit, until the returned function is called. */
  withhold(name: string, limit: PoolLimit): () => void {
    const withheld = { limit, since: this.#now() };
    this.#withheld.set(name, withheld);
    return () => {
      if (this.#withheld.get(name) === withheld) this.#withheld.delete(name);
    };
  }

  /** Principals that are at a limit now: first those from which something is withheld, then the most often refused. */
  get all(): LimitHit[] {
    const now = this.#now();
    for (const [name, { last }] of this.#hits) if (now - last >= AT_LIMIT_MS) this.#hits.delete(name);
    const withheld: LimitHit[] = [];
    for (const [name, { limit, since }] of this.#withheld) {
      if (withheld.length === MAX_LIMITS_HIT) return withheld;
      const times = this.#hits.get(name)?.times ?? 1;
      withheld.push({ ...limit, times, forMs: now - since, agoMs: 0, withheld: true });
    }
    const others = [...this.#hits].filter(([name]) => !this.#withheld.has(name));
    const hit = others.map(([, { limit, times, since, last }]) => ({
      ...limit,
      times,
      forMs: now - since,
      agoMs: now - last,
      withheld: false,
    }));
    return [...withheld, ...hit.sort((a, b) => b.times - a.times)].slice(0, MAX_LIMITS_HIT);
  }
}

/** The principals at limits of this process. */
export const limitsHit = new LimitsHit();
