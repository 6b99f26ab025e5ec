import type { Link, LnkConn } from './model/parts.ts';

/**
 * The output of a flush. Calls come grouped by link where the change allows. They must not change the tree
 * (SpanTreeError `reentrant`) and should not throw: the rest of the flush's output is then lost.
 */
export interface RelayDelta {
  /** Selection takes the pair: open the relay. */
  open(link: Link, lnkConn: LnkConn): void;
  /** Selection no longer takes the pair: close the relay. */
  close(link: Link, lnkConn: LnkConn): void;
  /**
   * The relay went since the last flush because its link or its LNK_CONN (or their connection) was removed. The gateway
   * closes such relays itself (architecture.md, "Loss is local"); this call is for everybody else who must know. Called
   * before any open or close.
   */
  gone?(link: Link, lnkConn: LnkConn): void;
}
