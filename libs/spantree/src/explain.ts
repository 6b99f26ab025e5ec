import type { StopReason } from './filter-class.ts';
import type { Link } from './link.ts';
import type { LnkConn } from './lnk-conn.ts';
import type { Node } from './node.ts';
import { findCell } from './row.ts';

/** What the selection makes of a link: it takes it, or why not. */
export type Verdict =
  | 'taken'
  /** the walk stops at it */
  | StopReason
  /** skipped: the LNK_CONN's gateway cannot reach the link's */
  | 'unreachable'
  /** the walk stopped at a better link */
  | 'after-stop'
  /** as many better links were taken as may be */
  | 'width-full'
  /** the LNK_CONN is of the other dialect */
  | 'other-dialect';

export interface Explanation {
  readonly link: Link;
  readonly verdict: Verdict;
  /** A relay is open. Differs from `taken` before a flush and when `refused`. */
  readonly open: boolean;
  /** The peer has closed the relay; it counts as taken and is not offered again until the selection changes. */
  readonly refused: boolean;
}

/** The walk of `node`'s links for `lnkConn` as the next flush would make it, best link first. */
export function explain(node: Node, lnkConn: LnkConn): Explanation[] {
  if (node.cluster.dialect !== lnkConn.filter.dialect) {
    return node.links.map((link) => ({ link, verdict: 'other-dialect', open: false, refused: false }));
  }
  const { filterClass, connection, slot } = lnkConn;
  let left = node.cluster.tables.width;
  let stopped = false;
  return node.links.map((link) => {
    let verdict: Verdict;
    if (left === 0) verdict = 'width-full';
    else if (stopped) verdict = 'after-stop';
    else if (filterClass.skips(link)) verdict = 'unreachable';
    else {
      const stop = link.connection === connection ? 'own-connection' : filterClass.stopAt(link);
      if (stop === undefined) left--;
      else stopped = true;
      verdict = stop ?? 'taken';
    }
    const known = !lnkConn.removed;
    return {
      link,
      verdict,
      open: known && findCell(node, slot, link.ref) >= 0,
      refused: known && findCell(node, slot, -link.ref) >= 0,
    };
  });
}
