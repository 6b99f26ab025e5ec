import { BASE_MASK, DELETE, LNK_ERROR, LNK_SPAN } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES, readU32 } from '@spanmesh/dmsg/header';
import { MAX_PEER_TYPE } from '@spanmesh/dmsg/names';
import { hasNegativeDist } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Connection } from '../connection/connection.ts';
import type { Core } from '../core.ts';
import { Link } from './link.ts';
import { logOpenOverLimit } from './open-over-limit.ts';
import { RelaySource } from './relay-source.ts';

// Offsets in the payload: those of protocol.md, "Payloads", less 64; the same in both dialects.
const PEER_TYPE = 33;
const STATUS = 36;

/** Links: LNK_SPANs of peers (protocol.md, "The link layer" 2): one handler for all of them, told apart by `data`. */
export class Links implements TransactionHandler {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** A peer opens a LNK_SPAN. */
  open(connection: Connection, tx: Transaction, frame: Frame): void {
    const { metrics, tables, reports, clock, options } = this.#core;
    const { endpoint } = tx;
    const start = frame.off + CORE_HEADER_BYTES;
    // protocol.md, "Payloads": a peer_type over 63 has no bit in a peer_mask.
    const error =
      frame.buf[start + PEER_TYPE]! > MAX_PEER_TYPE
        ? ErrorCode.PARAM
        : connection.links >= options.maxLinks
          ? ErrorCode.NOSUPP
          : ErrorCode.OK;
    if (error !== ErrorCode.OK) {
      metrics.opensRefused++;
      if (error === ErrorCode.NOSUPP) logOpenOverLimit(this.#core, connection, 'LNK_SPAN', options.maxLinks);
      endpoint.end(tx, error);
      return;
    }
    // protocol.md, "stacking": acknowledged in circuit only; in linkid the first answer is the end.
    if (endpoint.rules.stacked) endpoint.send(tx, LNK_ERROR);
    if ((frame.cmd & DELETE) !== 0) {
      endpoint.end(tx);
      return;
    }
    const payload = Buffer.from(frame.buf.subarray(start, frame.off + frame.headBytes));
    if (endpoint.rules.dialect === 'linkid' && hasNegativeDist(payload)) this.#noteNegative(connection);
    const id = tables.nextNumber();
    const source = new RelaySource('', id, endpoint.rules.dialect, payload);
    const wall = clock.wall();
    const link = new Link(id, connection, tx, source, {
      stamp: tables.nextStamp(wall),
      sinceUs: Math.floor(wall * 1000),
    });
    source.local = link;
    tx.handler = this;
    tx.data = link;
    tables.links.set(id, link);
    connection.links++;
    metrics.links++;
    metrics.linksOpened++;
    reports.linkOpened(link);
  }

  onMessage(tx: Transaction, frame: Frame): void {
    const link = tx.data as Link | null;
    if (link === null) return;
    const { reports, metrics } = this.#core;
    if ((frame.cmd & DELETE) !== 0) {
      this.#forget(link);
      tx.endpoint.end(tx);
      reports.linkClosed(link);
      return;
    }
    const base = frame.cmd & BASE_MASK;
    if (base === LNK_SPAN) {
      // A status message: kept for the tree, not relayed (protocol.md, "The link layer" 2).
      link.status = readU32(frame.buf, frame.off + CORE_HEADER_BYTES + STATUS);
      reports.linkStatus(link);
    } else if (base !== LNK_ERROR) {
      // protocol.md, "Transactions": an unknown command inside an open LNK_SPAN is counted and ignored.
      metrics.ignoredMessages++;
    }
  }

  onLost(tx: Transaction): void {
    if (tx.data !== null) this.#forget(tx.data as Link);
  }

  /** protocol.md, "The link layer" 2: taken as 0. Once an interval. */
  #noteNegative(connection: Connection): void {
    const { metrics, throttle, logger } = this.#core;
    metrics.negativeDists++;
    const { log, suppressed } = throttle.admit(`negative dist ${connection.address}`);
    if (!log) return;
    logger.warn(
      { connection: connection.id, peer: connection.remote, suppressed },
      'a LNK_SPAN has a negative dist: taken as 0',
    );
  }

  /** architecture.md, "Loss is local": its relays close without asking. */
  #forget(link: Link): void {
    const { relays, tables, metrics, routing } = this.#core;
    routing.linkClosing(link);
    link.tx.data = null;
    tables.links.delete(link.id);
    link.connection.links--;
    metrics.links--;
    relays.closeAllOf(link.source);
    link.source.local = null;
  }
}
