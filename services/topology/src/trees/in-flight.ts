import type { LnkConnId } from '@spanmesh/spantree/ids';
import type { Link } from '@spanmesh/spantree/tree';

/** An entry of the queue: a command that the gateway has not obeyed yet. */
interface Noted {
  readonly n: number;
  readonly link: Link;
  readonly lnkConns: readonly LnkConnId[];
}

/** Obeyed entries of the queue after which the queue is shortened. */
const PACK_AFTER = 1024;

/**
 * The pairs (link, LNK_CONN of one gateway) whose commands may cross a refusal, with the number of the last such
 * command. These are closes, because after a close the pair may be opened anew, and opens of pairs that had been
 * refused. They are kept until the gateway reports that it has obeyed them, so the table is bounded by the commands in
 * flight, not by history.
 *
 * An open of a pair that was neither closed nor refused before needs no entry: a refusal of that pair can only refer to
 * it.
 */
export class InFlight {
  readonly #last = new Map<Link, Map<number, number>>();
  #queue: Noted[] = [];
  #head = 0;
  #pairs = 0;

  /** Pairs whose commands are not obeyed yet, each counted once for each command. */
  get pairs(): number {
    return this.#pairs;
  }

  /** Links of these pairs. */
  get links(): number {
    return this.#last.size;
  }

  /** Notes a command for pairs of the link. `n` must not fall from call to call. */
  note(n: number, link: Link, lnkConns: readonly LnkConnId[]): void {
    let pairs = this.#last.get(link);
    if (pairs === undefined) {
      pairs = new Map();
      this.#last.set(link, pairs);
    }
    for (const id of lnkConns) pairs.set(id, n);
    this.#queue.push({ n, link, lnkConns });
    this.#pairs += lnkConns.length;
  }

  /** Number of the last noted command for the pair that is not obeyed yet, or 0. */
  last(link: Link, lnkConn: LnkConnId): number {
    return this.#last.get(link)?.get(lnkConn) ?? 0;
  }

  /** Forgets the commands up to `n`: the gateway has obeyed them. */
  obeyed(n: number): void {
    for (let noted = this.#queue[this.#head]; noted !== undefined && noted.n <= n; noted = this.#queue[++this.#head]) {
      this.#pairs -= noted.lnkConns.length;
      const pairs = this.#last.get(noted.link);
      if (pairs === undefined) continue;
      for (const id of noted.lnkConns) if (pairs.get(id) === noted.n) pairs.delete(id);
      if (pairs.size === 0) this.#last.delete(noted.link);
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > PACK_AFTER) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Forgets all commands: the stream that they went on has been replaced. */
  clear(): void {
    this.#last.clear();
    this.#queue = [];
    this.#head = 0;
    this.#pairs = 0;
  }
}
