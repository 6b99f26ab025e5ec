import { BASE_MASK, DELETE, LNK_ERROR, LNK_SPAN } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { MAX_PEER_TYPE } from '@spanmesh/dmsg/names';
import { hasNegativeDist } from '@spanmesh/dmsg/payload/lnk-span';
import { isBoundTo, type Transaction, type TransactionHandler } from '@spanmesh/dmsg/transaction';
import { readU8, readU32 } from '@spanmesh/dmsg/words';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Step } from '@spanmesh/runtime/trace/step';
import type { Tracing } from '@spanmesh/runtime/trace/tracing';
import type { Connection } from '../connection/connection.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { GatewayOptions } from '../settings.ts';
import type { Endings } from '../shares/endings.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';
import { tellOpenOverLimit } from './open-over-limit.ts';
import type { OpenTables } from './open-tables.ts';
import { Link, type Peer, RelaySource } from './peer.ts';
import type { PeerReports } from './peer-reports.ts';
import type { Relays } from './relays.ts';

// Offsets in the payload: those of protocol.md, "Payloads", less 64; the same in both dialects.
const PEER_TYPE = 33;
const STATUS = 36;

/** One link in 16 is sampled, beginning with the first: the time until its first relay is measured. */
const SAMPLED_LINKS = 16;

export interface LinksDependencies {
  readonly options: Pick<GatewayOptions, 'maxLinks'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly throttle: Throttle;
  readonly metrics: GatewayMetrics;
  readonly tables: OpenTables;
  readonly shares: Pick<GatewayShares, 'links' | 'limited'>;
  readonly reports: PeerReports;
  readonly relays: Pick<Relays, 'closingAllOf'>;
  readonly endings: Pick<Endings, 'run'>;
  readonly tracing: Pick<Tracing, 'tracer'>;
}

/**
 * Keeps the links, the LNK_SPANs of peers (protocol.md, "The link layer" 2). It is the one handler of all their
 * transactions; `data` of a transaction is its link.
 */
export class Links implements TransactionHandler<Link | null> {
  readonly #deps: LinksDependencies;

  constructor(deps: LinksDependencies) {
    this.#deps = deps;
  }

  /** The link whose LNK_SPAN transaction this is; null: it is no LNK_SPAN, or its link has closed. */
  linkOf(tx: Transaction | undefined): Link | null {
    return isBoundTo(tx, this) ? tx.data : null;
  }

  /** A peer opens a LNK_SPAN. */
  open(peer: Peer, tx: Transaction, frame: Frame): void {
    const { metrics, tables, reports, clock, options, shares } = this.#deps;
    const { endpoint } = tx;
    const start = frame.off + CORE_HEADER_BYTES;
    // protocol.md, "Payloads": a peer_type over 63 has no bit in a peer_mask.
    const error =
      readU8(frame.buf, start + PEER_TYPE) > MAX_PEER_TYPE
        ? ErrorCode.PARAM
        : peer.links >= options.maxLinks || shares.links.refusal(peer.connection.principal) !== null
          ? ErrorCode.NOSUPP
          : ErrorCode.OK;
    if (error !== ErrorCode.OK) {
      metrics.opensRefused++;
      if (peer.links >= options.maxLinks) tellOpenOverLimit(this.#deps, peer.connection, 'LNK_SPAN', options.maxLinks);
      endpoint.end(tx, error);
      return;
    }
    // protocol.md, "stacking": circuit acknowledges a LNK_SPAN; in linkid the first answer would close it.
    if (endpoint.rules.stacked) endpoint.send(tx, LNK_ERROR);
    if ((frame.cmd & DELETE) !== 0) {
      endpoint.end(tx);
      return;
    }
    const payload = Buffer.from(frame.buf.subarray(start, frame.off + frame.headBytes));
    if (hasNegativeDist(endpoint.rules.dialect, payload)) this.#noteNegative(peer.connection);
    const id = tables.nextNumber();
    const source = new RelaySource('', id, endpoint.rules.dialect, payload);
    const wall = clock.wall();
    const link = new Link(id, peer, tx, source, {
      stamp: tables.nextStamp(wall),
      sinceUs: Math.floor(wall * 1000),
    });
    source.local = link;
    if (metrics.linksOpened % SAMPLED_LINKS === 0) source.sampledUs = clock.now() * 1000;
    tx.bind(this, link);
    tables.links.set(id, link);
    peer.links++;
    shares.links.count(peer.connection.holdings.links, 1);
    metrics.links++;
    metrics.linksOpened++;
    reports.linkOpened(link, this.#begun(peer, link));
  }

  onMessage(tx: Transaction<Link | null>, frame: Frame): void {
    const link = tx.data;
    if (link === null) return;
    const { reports, metrics } = this.#deps;
    metrics.handled++;
    if ((frame.cmd & DELETE) !== 0) {
      reports.tell('linksClosed', link.id);
      this.#forget(link, tx);
      return;
    }
    const base = frame.cmd & BASE_MASK;
    if (base === LNK_SPAN) {
      // A status message: kept for the tree, not relayed (protocol.md, "The link layer" 2).
      const status = readU32(frame.buf, frame.off + CORE_HEADER_BYTES + STATUS);
      link.status = status;
      reports.tell('linkStatuses', { link: link.id, status });
    } else if (base !== LNK_ERROR) {
      // protocol.md, "Transactions": an unknown command inside an open LNK_SPAN is counted and ignored.
      metrics.ignoredMessages++;
    }
  }

  onLost({ data: link }: Transaction<Link | null>): void {
    if (link !== null) this.#forget(link, null);
  }

  /** Begins the trace of a new link; null: tracing is off. */
  #begun({ connection }: Peer, { id }: Link): Step | null {
    const { tracer } = this.#deps.tracing;
    if (tracer === null) return null;
    const attributes = {
      'spanmesh.connection': connection.id,
      'spanmesh.link': id,
      'spanmesh.peer': connection.remote,
    };
    return tracer.begin('link received', { attributes });
  }

  /**
   * Counts a negative dist, which is taken as 0 (protocol.md, "The link layer" 2), and logs it once an interval per
   * address.
   */
  #noteNegative(connection: Connection): void {
    const { metrics, throttle, logger } = this.#deps;
    metrics.negativeDists++;
    const { log, suppressed } = throttle.admit(`negative dist ${connection.address}`);
    if (!log) return;
    logger.warn(
      { connection: connection.id, peer: connection.remote, suppressed },
      'a LNK_SPAN has a negative dist: taken as 0',
    );
  }

  /**
   * Takes the link out of the tables at once and closes its relays in slices, without asking topology (architecture.md,
   * "Loss is local"). `answered`: the LNK_SPAN transaction, answered once the relays are closed; null: it is lost.
   */
  #forget(link: Link, answered: Transaction | null): void {
    const { tables, metrics, shares, endings } = this.#deps;
    if (link.users !== null) for (const user of link.users) user.linkClosing();
    link.closed();
    link.tx.data = null;
    tables.links.delete(link.id);
    link.peer.links--;
    shares.links.count(link.connection.holdings.links, -1);
    metrics.links--;
    endings.run(link.connection.principal, this.#ending(link, answered));
  }

  *#ending({ source }: Link, answered: Transaction | null): Job<void> {
    const units = yield* this.#deps.relays.closingAllOf(source);
    source.local = null;
    const rest = answered?.endpoint.ending(answered) ?? null;
    if (rest !== null) yield* rest;
    yield units;
  }
}
