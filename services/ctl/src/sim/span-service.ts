import type { Frame } from '@spanmesh/dmsg/frame';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction } from '@spanmesh/dmsg/transaction';

/** The part of a transaction's connection that a service uses. */
export interface ServedLink {
  /** Bytes that the router has not taken yet. */
  readonly queuedBytes: number;
}

/**
 * What a simulated peer offers to nodes that reach it through one of its spans: block reads and writes, a shell. PING
 * is answered by the link itself.
 */
export interface SpanService {
  /**
   * Called when a node opens a transaction on the span (circuit: stacked on it, at any depth; linkid: the span is its
   * target). True: taken, `tx.handler` is set or the transaction ended. False: it is refused with NOSUPP. The frame is
   * valid in this call only.
   */
  onOpen(tx: Transaction, frame: Frame, span: LnkSpan, link: ServedLink): boolean;
}

/** A service that takes no transactions. */
export const NO_SERVICE: SpanService = { onOpen: () => false };
