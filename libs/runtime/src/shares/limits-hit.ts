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
  /** It is kept from something for it, for as long as it is named. */
  readonly withheld: boolean;
}

interface Hit {
  limit: PoolLimit;
  times: number;
  readonly since: number;
  last: number;
}

/**
 * Who is at a limit now, for `spanmesh status`: events and the log say it once an interval, and are elsewhere. As many are named as there are
 * MAX_LIMITS_HIT, those first that are kept from something for it.
 */
export class LimitsHit {
  /** By limit and principal, the ones first that have not come to theirs for the longest time. */
  readonly #hits = new Map<string, Hit>();
  /** Who is kept from something, by limit and principal. */
  readonly #withheld = new Map<string, { readonly limit: PoolLimit; readonly since: number }>();
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

  /** The principal is kept from something because of the limit, until what is returned is called. */
  withhold(name: string, limit: PoolLimit): () => void {
    const withheld = { limit, since: this.#now() };
    this.#withheld.set(name, withheld);
    return () => {
      if (this.#withheld.get(name) === withheld) this.#withheld.delete(name);
    };
  }

  /** Principals that are at a limit now: who is kept from something, then the most often refused. */
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

/** The limits of this process. */
export const limitsHit = new LimitsHit();
