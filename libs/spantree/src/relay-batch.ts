import type { Link } from './link.ts';
import type { LnkConn } from './lnk-conn.ts';

/** Pairs of (link, LNK_CONN), handed out grouped by link in the order of their first pair. Keeps its arrays: allocates nothing once warm. */
export class RelayBatch {
  readonly #lnkConns: LnkConn[] = [];
  readonly #next: number[] = [];
  #pairs = 0;
  readonly #links: Link[] = [];
  readonly #heads: number[] = [];
  readonly #tails: number[] = [];
  #groups = 0;

  add(link: Link, lnkConn: LnkConn): void {
    const pair = this.#pairs++;
    this.#lnkConns[pair] = lnkConn;
    this.#next[pair] = -1;
    if (link.group < 0) {
      link.group = this.#groups++;
      this.#links[link.group] = link;
      this.#heads[link.group] = pair;
    } else {
      this.#next[this.#tails[link.group]!] = pair;
    }
    this.#tails[link.group] = pair;
  }

  /** Empties the batch into `each`. */
  drain(each: (link: Link, lnkConn: LnkConn) => void): void {
    const groups = this.#groups;
    // Emptied first: a sink that throws must not leave links behind that think they are in a group.
    for (let group = 0; group < groups; group++) this.#links[group]!.group = -1;
    this.#groups = 0;
    this.#pairs = 0;
    for (let group = 0; group < groups; group++) {
      const link = this.#links[group]!;
      for (let pair = this.#heads[group]!; pair >= 0; pair = this.#next[pair]!) each(link, this.#lnkConns[pair]!);
    }
  }

  /** Lets go of the objects that the arrays still name. */
  clear(): void {
    this.#lnkConns.length = 0;
    this.#links.length = 0;
  }
}
