import { BASE_MASK, DELETE, LNK_ERROR, LNK_SPAN } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import { isBoundTo, type Transaction, type TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { MAX_RETURN_PATHS, MAX_RETURN_PATHS_REFUSED, RELAY_PACE_BYTES } from '../limits.ts';
import type { GatewayMetrics, RelayClosing } from '../metrics.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';
import type { OpenTables } from './open-tables.ts';
import { type LnkConn, type Peer, Relay, type RelaySource } from './peer.ts';
import type { PeerReports } from './peer-reports.ts';
import type { RelayRouting } from './routing.ts';

export interface RelaysDependencies {
  readonly reports: PeerReports;
  readonly metrics: GatewayMetrics;
  readonly clock: Pick<Clock, 'now'>;
  readonly shares: Pick<GatewayShares, 'chargeRelay'>;
  readonly tables: Pick<OpenTables, 'forgetRemote'>;
}

/** Relays that are closed between two `yield`s. */
const SLICE_UNITS = 64;

/** Until there is somebody to pass messages on. */
const NO_ROUTING: RelayRouting = { open() {}, oneWay() {}, closing() {} };

/**
 * Opens and closes relays, and is the handler of all their transactions: one object for hundreds of thousands of relays, which
 * it tells apart by the transaction's `data`. A relay that we closed has no `data` any more; what the peer still sends in
 * its transaction is the answer.
 */
export class Relays implements TransactionHandler<Relay | null> {
  /** What relays add to rnss (circuit), as the leader says (protocol.md, "The link layer" 2). */
  rnssAdd = 0;

  readonly #reports: PeerReports;
  readonly #metrics: GatewayMetrics;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #shares: RelaysDependencies['shares'];
  readonly #tables: Pick<OpenTables, 'forgetRemote'>;
  #routing: RelayRouting = NO_ROUTING;

  constructor({ reports, metrics, clock, shares, tables }: RelaysDependencies) {
    this.#shares = shares;
    this.#reports = reports;
    this.#tables = tables;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** Told of what comes on relays for somebody else, and of their end. */
  set routing(routing: RelayRouting) {
    this.#routing = routing;
  }

  /** The relay that a transaction is of; null: of none, or of one that has closed. */
  relayOf(tx: Transaction | undefined): Relay | null {
    return isBoundTo(tx, this) ? tx.data : null;
  }

  /**
   * Opens a relay that topology wants; one that is open already stays open, and is no longer one on demand. `n`: number of the
   * command that asks for it.
   */
  open(source: RelaySource, lnkConn: LnkConn, n: number): void {
    const known = source.relays.get(lnkConn.id);
    if (known !== undefined) {
      // The refusal of a relay counts if it is not older than the last command for the pair.
      known.n = n;
      if (!known.wanted) {
        this.#reports.onDemandClosed(known);
        this.#setWanted(known, true);
      }
      return;
    }
    forgetRefusal(source, lnkConn);
    if (source.offerer?.isWithheld === true) return;
    const relay = this.#add(new Relay(source, lnkConn, n, true));
    const { peer } = lnkConn;
    if (peer.waitingRelays.length > 0 || peer.connection.queuedBytes >= RELAY_PACE_BYTES) {
      peer.waitingRelays.push(relay);
    } else {
      this.#begin(relay, peer);
    }
  }

  /**
   * The relay that is the return path to a link (protocol.md, "Routing, linkid"), open on the wire when this returns: topology's,
   * on whichever LNK_CONN of the connection, or one opened on demand on the first. null: the connection has no LNK_CONN, or its peer
   * has closed such a relay.
   */
  returnPath(source: RelaySource, peer: Peer): Relay | null {
    for (const lnkConn of peer.lnkConns) {
      const known = source.relays.get(lnkConn.id);
      if (known === undefined) continue;
      if (known.tx === null) this.#begin(known, peer);
      return known;
    }
    for (const lnkConn of peer.lnkConns) {
      if (source.notOnDemand?.has(lnkConn) === true || source.refusedBy?.has(lnkConn) === true) return null;
      if (lnkConn.returnPaths >= MAX_RETURN_PATHS) return null;
      const relay = this.#add(new Relay(source, lnkConn, 0, false));
      this.#reports.linkKnown(source);
      this.#reports.onDemandOpened(relay);
      this.#begin(relay, peer);
      return relay;
    }
    return null;
  }

  /** Closes a relay. What runs on it ends first, leaves first (protocol.md, "stacking"): routing and the endpoint see to that. */
  close(relay: Relay, why: RelayClosing): void {
    const { tx } = relay;
    this.#forget(relay, why);
    if (tx !== null) tx.endpoint.end(tx);
  }

  /** Closes a relay that is open on demand and not used any more. */
  closeUnused(relay: Relay): void {
    this.#reports.onDemandClosed(relay);
    this.close(relay, 'unused');
  }

  /**
   * Topology does not want the relay of a link on a LNK_CONN any more: closes it, unless it is a return path in use, and forgets
   * that it was refused.
   */
  closePair(source: RelaySource, lnkConn: LnkConn): void {
    forgetRefusal(source, lnkConn);
    const relay = source.relays.get(lnkConn.id);
    if (relay === undefined || !relay.wanted) return;
    if (relay.use?.isReturnPath === true) {
      this.#setWanted(relay, false);
      this.#reports.onDemandOpened(relay);
    } else {
      this.close(relay, 'command');
    }
  }

  /**
   * The link is gone (architecture.md, "Loss is local"): closes all its relays on this gateway. In slices; none is left when it returns
   * how many units its last slice had.
   */
  *closingAllOf(source: RelaySource): Job<number> {
    const units = yield* this.#closing(source.relays.values(), 'link');
    if (source.refusedBy !== null) for (const lnkConn of source.refusedBy) lnkConn.refused?.delete(source);
    source.refusedBy = null;
    if (source.notOnDemand !== null) for (const lnkConn of source.notOnDemand) lnkConn.notOnDemand?.delete(source);
    source.notOnDemand = null;
    return units;
  }

  /**
   * The LNK_CONN is gone: closes (or, when its connection was lost, forgets) all its relays. In slices; none is left when it returns how
   * many units its last slice had.
   */
  *closingAllOn(lnkConn: LnkConn): Job<number> {
    let units = yield* this.#closing(lnkConn.relays, 'lnk_conn');
    const { refused } = lnkConn;
    if (refused !== null) {
      for (const source of refused) {
        refused.delete(source);
        source.refusedBy?.delete(lnkConn);
        this.#forgetUnused(source);
        if (++units < SLICE_UNITS) continue;
        yield units;
        units = 0;
      }
    }
    lnkConn.refused = null;
    if (lnkConn.notOnDemand !== null) for (const source of lnkConn.notOnDemand) this.#mayBeOnDemand(source, lnkConn);
    lnkConn.notOnDemand = null;
    return units;
  }

  /** The connection has room again: opens relays that wait for it. */
  resume(peer: Peer): void {
    const waiting = peer.waitingRelays;
    let at = 0;
    while (at < waiting.length && peer.connection.queuedBytes < RELAY_PACE_BYTES) {
      const relay = waiting[at++];
      if (relay !== undefined && !relay.closed && !relay.isClosing && relay.tx === null) this.#begin(relay, peer);
    }
    peer.waitingRelays = at === waiting.length ? [] : waiting.slice(at);
  }

  /** The peer, in a relay of ours: its acknowledgement (circuit), its refusal, or the answer to our DELETE. */
  onMessage(tx: Transaction<Relay | null>, frame: Frame): void {
    const relay = tx.data;
    if ((frame.cmd & DELETE) === 0) {
      if ((frame.cmd & BASE_MASK) !== LNK_ERROR) this.#metrics.ignoredMessages++;
      return;
    }
    if (relay === null) return;
    const { source, lnkConn } = relay;
    if (relay.isClosing) {
      // Its turn would have come: nothing is refused that is not offered any more.
      this.close(relay, 'refused');
      return;
    }
    // First of all: a link that the leader does not know to be known here goes with its last relay, unless there is this to remember.
    if (relay.wanted) refuse(source, lnkConn);
    else this.#notOnDemand(source, lnkConn);
    // protocol.md, "The link layer" 4: the peer closes a relay; we close our side.
    this.#forget(relay, 'refused');
    tx.endpoint.end(tx);
    this.#metrics.relaysRefused++;
    if (!relay.wanted) {
      this.#reports.onDemandClosed(relay);
      return;
    }
    this.#reports.relayRefused(relay);
  }

  /** Its connection was lost. */
  onLost({ data: relay }: Transaction<Relay | null>): void {
    if (relay !== null) this.#forget(relay, 'connection');
  }

  onStacked({ data: relay }: Transaction<Relay | null>, tx: Transaction, frame: Frame): void {
    this.#routing.open(relay, tx, frame);
  }

  onOneWay({ data: relay }: Transaction<Relay | null>, frame: Frame): void {
    this.#routing.oneWay(relay, frame);
  }

  /** Units that are left over: of the last slice. */
  *#closing(relays: Iterable<Relay>, why: RelayClosing): Job<number> {
    let units = 0;
    for (const relay of relays) {
      this.close(relay, why);
      if (++units < SLICE_UNITS) continue;
      yield units;
      units = 0;
    }
    return units;
  }

  #add(relay: Relay): Relay {
    relay.source.relays.set(relay.lnkConn.id, relay);
    relay.lnkConn.relays.add(relay);
    this.#metrics.relays++;
    this.#shares.chargeRelay(relay, 1);
    if (!relay.wanted) this.#count(relay, 1);
    return relay;
  }

  #setWanted(relay: Relay, isWanted: boolean): void {
    relay.wanted = isWanted;
    this.#count(relay, isWanted ? -1 : 1);
  }

  /** A relay more, or less, that is open on demand. */
  #count({ lnkConn }: Relay, more: 1 | -1): void {
    this.#metrics.onDemandRelays += more;
    lnkConn.returnPaths += more;
  }

  #begin(relay: Relay, peer: Peer): void {
    const { endpoint } = peer.connection;
    if (endpoint === null) return;
    this.#metrics.relaysOpened++;
    if (relay.source.sampledUs > 0) this.#observeFirst(relay);
    const tx = endpoint.open<Relay | null>(LNK_SPAN, null, this, relay.source.template(this.rnssAdd));
    tx.data = relay;
    relay.tx = tx;
    peer.relays++;
  }

  /** What a LNK_CONN waits for counts from when that is there: a peer may ask for spans long after the link has come. */
  #observeFirst({ source, lnkConn }: Relay): void {
    const sinceUs = Math.max(source.sampledUs, lnkConn.openedUs);
    source.sampledUs = 0;
    this.#metrics.firstRelay.observe(this.#clock.now() / 1000 - sinceUs / 1_000_000);
  }

  #forget(relay: Relay, why: RelayClosing): void {
    const { source, tx } = relay;
    this.#routing.closing(relay);
    relay.closed = true;
    this.#metrics.relays--;
    this.#metrics.relaysClosed[why]++;
    this.#shares.chargeRelay(relay, -1);
    if (!relay.wanted) this.#count(relay, -1);
    source.relays.delete(relay.lnkConn.id);
    if (source.relays.size === 0) {
      source.dropTemplate();
      this.#forgetUnused(source);
    }
    relay.lnkConn.relays.delete(relay);
    if (tx === null) return;
    tx.data = null;
    relay.tx = null;
    relay.lnkConn.peer.relays--;
  }

  /** The peer does not want the return path to the link there: none is opened again. */
  #notOnDemand(source: RelaySource, lnkConn: LnkConn): void {
    source.notOnDemand ??= new Set();
    source.notOnDemand.add(lnkConn);
    lnkConn.notOnDemand ??= new Set();
    lnkConn.notOnDemand.add(source);
    if (lnkConn.notOnDemand.size <= MAX_RETURN_PATHS_REFUSED) return;
    const [oldest] = lnkConn.notOnDemand;
    if (oldest === undefined) return;
    lnkConn.notOnDemand.delete(oldest);
    this.#mayBeOnDemand(oldest, lnkConn);
  }

  #mayBeOnDemand(source: RelaySource, lnkConn: LnkConn): void {
    source.notOnDemand?.delete(lnkConn);
    if (source.notOnDemand?.size === 0) source.notOnDemand = null;
    this.#forgetUnused(source);
  }

  /** Of a link of another gateway that the leader knows to be known here it says when it is gone; others go when nothing uses them. */
  #forgetUnused(source: RelaySource): void {
    if (source.gateway === '' || source.leaderKnows || source.isInUse) return;
    this.#tables.forgetRemote(source);
  }
}

function refuse(source: RelaySource, lnkConn: LnkConn): void {
  lnkConn.refused ??= new Set();
  lnkConn.refused.add(source);
  source.refusedBy ??= new Set();
  source.refusedBy.add(lnkConn);
}

function forgetRefusal(source: RelaySource, lnkConn: LnkConn): void {
  if (source.refusedBy?.delete(lnkConn) === true) lnkConn.refused?.delete(source);
}
