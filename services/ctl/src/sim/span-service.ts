import type { Frame } from '@spanmesh/dmsg/frame';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction } from '@spanmesh/dmsg/transaction';

/** The connection that a transaction came in on, as far as a service needs to know it. */
export interface ServedLink {
  /** Bytes that the router has not taken yet. */
  readonly queuedBytes: number;
}

/**
 * What a simulated peer serves to those who reach it through one of its spans: block reads and writes, a shell.
 * PING is answered by the link itself.
 */
export interface SpanService {
  /**
   * Somebody opens a transaction on the span (circuit: stacked on it, at whatever depth; linkid: its target). True:
   * taken, `tx.handler` is set or the transaction ended. False: it is refused with NOSUPP. The frame is valid in this
   * call only.
   */
  onOpen(tx: Transaction, frame: Frame, span: LnkSpan, link: ServedLink): boolean;
}

/** Serves nothing. */
export const NO_SERVICE: SpanService = { onOpen: () => false };
