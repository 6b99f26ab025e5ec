import type { StopReason } from './model/filter-class.ts';
import type { Link, LnkConn, Node } from './model/parts.ts';

/** The result of the selection for a link: it is taken, or why not. */
export type Verdict =
  | 'taken'
  /** the walk stops at it */
  | StopReason
  /** skipped: the LNK_CONN's gateway cannot reach the link's gateway */
  | 'unreachable'
  /** the walk stopped at a better link */
  | 'after-stop'
  /** the walk had taken the maximum number of links already */
  | 'width-full'
  /** the LNK_CONN is of the other dialect */
  | 'other-dialect';

/** The verdict on one link, and the state of its relay. */
export interface Explanation {
  readonly link: Link;
  readonly verdict: Verdict;
  /** A relay is open. Differs from `taken` before a flush and when `refused`. */
  readonly open: boolean;
  /** The peer has closed the relay; it counts as taken and is not offered again until the selection changes. */
  readonly refused: boolean;
}

/**
 * Walks `node`'s links for `lnkConn`, best first, as the next flush would, and returns the verdicts on `count` links
 * from the `from`th on. The links before them are walked, too, because they can end the walk.
 */
export function explain(node: Node, lnkConn: LnkConn, from: number, count: number): Explanation[] {
  const asked = node.links.slice(from, from + count);
  if (node.cluster.dialect !== lnkConn.filter.dialect) {
    return asked.map((link) => ({ link, verdict: 'other-dialect', open: false, refused: false }));
  }
  const { slot, removed } = lnkConn;
  const walk = new Walk(node, lnkConn);
  let passed = 0;
  for (const link of node.links) {
    if (passed++ === from || walk.isOver) break;
    walk.next(link);
  }
  return asked.map((link) => ({
    link,
    verdict: walk.next(link),
    open: !removed && node.row.find(slot, link.ref) >= 0,
    refused: !removed && node.row.find(slot, -link.ref) >= 0,
  }));
}

/** A walk of one node's links, which are given to `next` best first. */
class Walk {
  readonly #lnkConn: LnkConn;
  #left: number;
  #stopped = false;

  constructor(node: Node, lnkConn: LnkConn) {
    this.#lnkConn = lnkConn;
    this.#left = node.cluster.tables.width;
  }

  /** Nothing more is taken. */
  get isOver(): boolean {
    return this.#left === 0 || this.#stopped;
  }

  next(link: Link): Verdict {
    const { filterClass, connection } = this.#lnkConn;
    if (this.#left === 0) return 'width-full';
    if (this.#stopped) return 'after-stop';
    if (filterClass.skips(link)) return 'unreachable';
    const stop = link.connection === connection ? 'own-connection' : filterClass.stopAt(link);
    if (stop === undefined) this.#left--;
    else this.#stopped = true;
    return stop ?? 'taken';
  }
}
