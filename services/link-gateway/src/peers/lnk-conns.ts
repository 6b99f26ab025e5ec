import { BASE_MASK, DELETE, LNK_ERROR, LNK_VOLCONF } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { MAX_PEER_TYPE } from '@spanmesh/dmsg/names';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { readU8 } from '@spanmesh/dmsg/words';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { GatewayMetrics } from '../metrics.ts';
import type { GatewayOptions } from '../settings.ts';
import type { Endings } from '../shares/endings.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';
import { tellOpenOverLimit } from './open-over-limit.ts';
import type { OpenTables } from './open-tables.ts';
import type { OwnLnkConn } from './own-lnk-conn.ts';
import { LnkConn, type Peer } from './peer.ts';
import type { PeerEvents } from './peer-events.ts';
import type { LnkConnEvents, PeerReports } from './peer-reports.ts';
import type { Relays } from './relays.ts';
import { volconfCopy, volconfFault, volconfIndex } from './volconf.ts';

/** Offset of peer_type in the payload (protocol.md, "Payloads", less 64), the same in both dialects. */
const PEER_TYPE = 56;
/**
 * Stamps of LNK_VOLCONFs that come in the same microsecond differ by this much, microseconds. A double can hold steps
 * that small for years of uptime.
 */
const STAMP_STEP_US = 2 ** -4;

export interface LnkConnsDependencies {
  readonly options: Pick<GatewayOptions, 'maxLnkConns'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly throttle: Throttle;
  readonly metrics: GatewayMetrics;
  readonly tables: OpenTables;
  readonly shares: Pick<GatewayShares, 'lnkConns' | 'limited'>;
  readonly reports: PeerReports;
  readonly relays: Pick<Relays, 'closingAllOn'>;
  readonly endings: Pick<Endings, 'run'>;
  readonly media: LnkConnEvents;
  readonly events: Pick<PeerEvents, 'asksForSpans'>;
  readonly ownLnkConn: OwnLnkConn;
}

/**
 * Keeps the LNK_CONNs of peers (protocol.md, "The link layer" 1 to 3). It is the one handler of all their transactions;
 * `data` of a transaction is its LNK_CONN.
 */
export class LnkConns implements TransactionHandler<LnkConn | null> {
  readonly #deps: LnkConnsDependencies;
  /** Stamp of the last LNK_VOLCONF, microseconds of the monotonic clock. */
  #stampUs = 0;

  constructor(deps: LnkConnsDependencies) {
    this.#deps = deps;
  }

  /** A peer opens a LNK_CONN. */
  open(peer: Peer, tx: Transaction, frame: Frame): void {
    const { metrics, tables, reports, media, events, ownLnkConn, options, clock, shares } = this.#deps;
    const start = frame.off + CORE_HEADER_BYTES;
    const end = frame.off + frame.headBytes;
    if (ownLnkConn.isOwn(frame.buf, start, end)) {
      peer.connection.close('self');
      return;
    }
    const { oneLnkConn } = tx.endpoint.rules;
    const error = this.#fault(peer, readU8(frame.buf, start + PEER_TYPE), oneLnkConn ? null : options.maxLnkConns);
    if (error !== ErrorCode.OK) {
      metrics.opensRefused++;
      tx.endpoint.end(tx, error);
      return;
    }
    if ((frame.cmd & DELETE) !== 0) {
      // Opened and closed in one message: the peer wants no spans.
      tx.endpoint.end(tx);
      return;
    }
    const payload = Buffer.from(frame.buf.subarray(start, end));
    const lnkConn = new LnkConn(tables.nextNumber(), peer, tx, payload, clock.now() * 1000);
    tx.bind(this, lnkConn);
    tx.endpoint.send(tx, LNK_ERROR);
    tables.lnkConns.set(lnkConn.id, lnkConn);
    peer.lnkConns.add(lnkConn);
    shares.lnkConns.count(peer.connection.holdings.lnkConns, 1);
    metrics.lnkConns++;
    media.lnkConnOpened(lnkConn);
    reports.tell('lnkConnsOpened', { id: lnkConn.id, connection: peer.id, payload });
    events.asksForSpans(lnkConn);
  }

  onMessage(tx: Transaction<LnkConn | null>, frame: Frame): void {
    const lnkConn = tx.data;
    if (lnkConn === null) return;
    if ((frame.cmd & DELETE) !== 0) {
      this.end(lnkConn);
      return;
    }
    const base = frame.cmd & BASE_MASK;
    if (base === LNK_VOLCONF) this.#volconf(lnkConn, frame);
    // protocol.md, "Transactions": an unknown command inside an open LNK_CONN is counted and ignored.
    else if (base !== LNK_ERROR) this.#deps.metrics.ignoredMessages++;
  }

  onLost(tx: Transaction<LnkConn | null>): void {
    const lnkConn = tx.data;
    if (lnkConn === null) return;
    this.#forget(lnkConn);
    this.#deps.endings.run(lnkConn.connection.principal, this.#closing(lnkConn, null));
  }

  /**
   * Closes the LNK_CONN: sends the DELETEs of its relays first, then our own DELETE (protocol.md, "The link layer" 1).
   */
  end(lnkConn: LnkConn): void {
    this.#deps.endings.run(lnkConn.connection.principal, this.ending(lnkConn));
  }

  /**
   * Like `end`, as a job for the caller to run. The LNK_CONN counts as closed when this returns; the DELETEs of its
   * relays and our own go out in slices as the job runs.
   */
  ending(lnkConn: LnkConn): Job<void> {
    this.#deps.reports.tell('lnkConnsClosed', lnkConn.id);
    this.#forget(lnkConn);
    return this.#closing(lnkConn, lnkConn.tx);
  }

  /** `limit`: LNK_CONNs that the peer may have open; null: one, as its dialect says. */
  #fault({ connection, lnkConns }: Peer, peerType: number, limit: number | null): 0 | 0x23 | 0x20 {
    // protocol.md, "Payloads": a peer_type over 63 has no bit in a peer_mask.
    if (peerType > MAX_PEER_TYPE) return ErrorCode.PARAM;
    const { size } = lnkConns;
    // protocol.md, "The link layer" 2: linkid peers may open several, circuit peers one.
    if (limit === null && size > 0) return ErrorCode.PARAM;
    if (limit !== null && size >= limit) {
      tellOpenOverLimit(this.#deps, connection, 'LNK_CONN', limit);
      return ErrorCode.NOSUPP;
    }
    return this.#deps.shares.lnkConns.refusal(connection.principal) === null ? ErrorCode.OK : ErrorCode.NOSUPP;
  }

  #volconf(lnkConn: LnkConn, frame: Frame): void {
    const { metrics, media, clock, logger, throttle } = this.#deps;
    const at = frame.off + CORE_HEADER_BYTES;
    const fault = volconfFault(frame.buf, at);
    if (fault !== null) {
      metrics.volconfsIgnored++;
      const { connection } = lnkConn;
      const { log, suppressed } = throttle.admit(`volconf ${connection.address}`);
      if (log) {
        logger.warn(
          { connection: connection.id, peer: connection.remote, fault, suppressed },
          'LNK_VOLCONF ignored: check the copies of the volume that the peer has mounted',
        );
      }
      return;
    }
    metrics.volconfs++;
    const index = volconfIndex(frame.buf, at);
    const copy = volconfCopy(frame.buf, at);
    lnkConn.volconfs ??= new Map();
    this.#stampUs = Math.max(this.#stampUs + STAMP_STEP_US, clock.now() * 1000);
    lnkConn.volconfs.set(index, { copy, receivedUs: this.#stampUs });
    media.slotReceived(lnkConn, index);
  }

  #forget(lnkConn: LnkConn): void {
    const { tables, media, metrics, shares } = this.#deps;
    lnkConn.closed();
    lnkConn.tx.data = null;
    tables.lnkConns.delete(lnkConn.id);
    lnkConn.peer.lnkConns.delete(lnkConn);
    shares.lnkConns.count(lnkConn.connection.holdings.lnkConns, -1);
    media.lnkConnClosed(lnkConn);
    metrics.lnkConns--;
  }

  /**
   * `answered`: the LNK_CONN transaction, which gets our DELETE once its relays are closed; null: its connection is
   * lost.
   */
  *#closing(lnkConn: LnkConn, answered: Transaction | null): Job<void> {
    const units = yield* this.#deps.relays.closingAllOn(lnkConn);
    if (answered !== null) {
      // Of relays that were closed before: their DELETEs may wait for the ends of what ran over them.
      yield* lnkConn.closes.settling();
      const rest = answered.endpoint.ending(answered);
      if (rest !== null) yield* rest;
    }
    yield units;
  }
}
