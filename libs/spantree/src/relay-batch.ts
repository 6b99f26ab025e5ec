import type { Link, LnkConn } from './model/parts.ts';

/**
 * Pairs of (link, LNK_CONN), handed out grouped by link, in the order of each link's first pair. It keeps its arrays,
 * so it allocates nothing once they are large enough.
 */
export class RelayBatch {
  readonly #lnkConns: LnkConn[] = [];
  /** The next pair of the same group, or -1. */
  readonly #next: number[] = [];
  #pairs = 0;
  readonly #links: Link[] = [];
  readonly #heads: number[] = [];
  readonly #tails: number[] = [];
  #groups = 0;
  /**
   * By a link's ref: the number of its group + 1, or 0. Not a field of Link, because a link can be in two batches at
   * once.
   */
  #groupOf = new Int32Array(64);

  add(link: Link, lnkConn: LnkConn): void {
    const pair = this.#pairs++;
    this.#lnkConns[pair] = lnkConn;
    this.#next[pair] = -1;
    const group = this.#groupFor(link);
    if (group === this.#groups) {
      this.#groups++;
      this.#links[group] = link;
      this.#heads[group] = pair;
    } else {
      this.#next[this.#tails[group] ?? 0] = pair;
    }
    this.#tails[group] = pair;
  }

  /** Calls `each` for all pairs, and empties the batch. */
  drain(each: (link: Link, lnkConn: LnkConn) => void): void {
    const groups = this.#groups;
    this.#empty();
    for (let group = 0; group < groups; group++) {
      const link = this.#links[group];
      if (link === undefined) break;
      for (let pair = this.#heads[group] ?? -1; pair >= 0; pair = this.#next[pair] ?? -1) {
        const lnkConn = this.#lnkConns[pair];
        if (lnkConn !== undefined) each(link, lnkConn);
      }
    }
  }

  /** Drops pairs that were not handed out (if `each` threw) and the references that the arrays still hold. */
  clear(): void {
    this.#empty();
    this.#lnkConns.length = 0;
    this.#links.length = 0;
  }

  #groupFor(link: Link): number {
    if (link.ref >= this.#groupOf.length) {
      const longer = new Int32Array(link.ref * 2);
      longer.set(this.#groupOf);
      this.#groupOf = longer;
    }
    const group = (this.#groupOf[link.ref] ?? 0) - 1;
    if (group >= 0) return group;
    this.#groupOf[link.ref] = this.#groups + 1;
    return this.#groups;
  }

  #empty(): void {
    for (let group = 0; group < this.#groups; group++) this.#groupOf[this.#links[group]?.ref ?? 0] = 0;
    this.#groups = 0;
    this.#pairs = 0;
  }
}
