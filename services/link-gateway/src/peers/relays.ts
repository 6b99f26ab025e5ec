import { BASE_MASK, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import { type EndingJob, isBoundTo, type Transaction, type TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { MAX_RETURN_PATHS, MAX_RETURN_PATHS_REFUSED, RELAY_PACE_BYTES } from '../limits.ts';
import type { GatewayMetrics, RelayClosing } from '../metrics.ts';
import type { Endings } from '../shares/endings.ts';
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
  readonly endings: Pick<Endings, 'run'>;
}

/** Units (relays closed or refusals forgotten) between two `yield`s. */
const SLICE_UNITS = 64;

/** Until there is somebody to pass messages on. */
const NO_ROUTING: RelayRouting = { open() {}, oneWay() {}, closing: () => null };

/**
 * Opens and closes relays. One object is the handler of the transactions of hundreds of thousands of relays; `data` of
 * a transaction is its relay. Once we have closed a relay its transaction has no `data`, and the peer's DELETE in it is
 * the answer to ours.
 */
export class Relays implements TransactionHandler<Relay | null> {
  /**
   * The constant that a relay adds to its link's rnss (circuit), as the leader says (protocol.md, "The link layer" 2).
   */
  rnssAdd = 0;

  readonly #reports: PeerReports;
  readonly #metrics: GatewayMetrics;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #shares: RelaysDependencies['shares'];
  readonly #tables: Pick<OpenTables, 'forgetRemote'>;
  readonly #endings: Pick<Endings, 'run'>;
  #routing: RelayRouting = NO_ROUTING;

  constructor({ reports, metrics, clock, shares, tables, endings }: RelaysDependencies) {
    this.#endings = endings;
    this.#shares = shares;
    this.#reports = reports;
    this.#tables = tables;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** Takes the messages that peers send on relays, and is told when a relay closes. */
  set routing(routing: RelayRouting) {
    this.#routing = routing;
  }

  /** The relay whose LNK_SPAN transaction this is; null: it is no relay's, or the relay has closed. */
  relayOf(tx: Transaction | undefined): Relay | null {
    return isBoundTo(tx, this) ? tx.data : null;
  }

  /**
   * Opens a relay that topology wants. One that is open already stays open, and is no longer an on-demand one. `n`:
   * number of the command that asks for it.
   */
  open(source: RelaySource, lnkConn: LnkConn, n: number): void {
    const known = source.relays.get(lnkConn.id);
    if (known !== undefined) {
      // Topology obeys a refusal only if it names the last command for the pair.
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
   * The relay used as the return path to a link (protocol.md, "Routing, linkid"): one that exists on any LNK_CONN of
   * the connection, or a new one on demand on the first LNK_CONN. Its LNK_SPAN has been sent when this returns. null:
   * the connection has no LNK_CONN, its peer has closed such a relay before, or the LNK_CONN has too many return paths.
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

  /**
   * Closes a relay. The transactions on it end first, leaves first (protocol.md, "stacking"): routing and the endpoint
   * see to that.
   */
  close(relay: Relay, why: RelayClosing): void {
    const rest = this.#beginClosing(relay, why);
    if (rest !== null) this.#endings.run(relay.lnkConn.connection.principal, rest);
  }

  /** Closes a relay that is open on demand and not used any more. */
  closeUnused(relay: Relay): void {
    this.#reports.onDemandClosed(relay);
    this.close(relay, 'unused');
  }

  /**
   * Topology does not want this link on this LNK_CONN any more. Forgets a refusal, and closes the relay unless it is a
   * return path in use: then it goes on as an on-demand one.
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
   * The link is gone (architecture.md, "Loss is local"): closes all its relays on this gateway, in slices, and forgets
   * its refusals. Returns the number of units done since the last `yield`.
   */
  *closingAllOf(source: RelaySource): Job<number> {
    const relays = source.relays.values();
    const units = yield* this.#closing(() => relays.next().value ?? null, 'link');
    if (source.refusedBy !== null) for (const lnkConn of source.refusedBy) lnkConn.refused?.delete(source);
    source.refusedBy = null;
    if (source.notOnDemand !== null) for (const lnkConn of source.notOnDemand) lnkConn.notOnDemand?.delete(source);
    source.notOnDemand = null;
    return units;
  }

  /**
   * The LNK_CONN is gone: closes all its relays (or only forgets them, if the connection was lost), in slices, and
   * forgets its refusals. Returns the number of units done since the last `yield`.
   */
  *closingAllOn(lnkConn: LnkConn): Job<number> {
    let units = yield* this.#closing(() => lnkConn.firstRelay, 'lnk_conn');
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

  /** The connection's send queue has drained: opens relays that waited for it. */
  resume(peer: Peer): void {
    const waiting = peer.waitingRelays;
    let at = 0;
    while (at < waiting.length && peer.connection.queuedBytes < RELAY_PACE_BYTES) {
      const relay = waiting[at++];
      if (relay !== undefined && !relay.closed && !relay.isClosing && relay.tx === null) this.#begin(relay, peer);
    }
    peer.waitingRelays = at === waiting.length ? [] : waiting.slice(at);
  }

  /**
   * A message of the peer in a relay's transaction: its acknowledgement (circuit), its refusal, or its answer to our
   * DELETE.
   */
  onMessage(tx: Transaction<Relay | null>, frame: Frame): void {
    const relay = tx.data;
    if ((frame.cmd & DELETE) === 0) {
      if ((frame.cmd & BASE_MASK) !== LNK_ERROR) this.#metrics.ignoredMessages++;
      return;
    }
    if (relay === null) return;
    const { source, lnkConn } = relay;
    if (relay.isClosing) {
      // We were about to close the relay ourselves: this is not a refusal to report.
      this.close(relay, 'refused');
      return;
    }
    // Must come before `#forget`, which also forgets a link of another gateway with its last relay unless the leader
    // knows it or a refusal is remembered.
    if (relay.wanted) refuse(source, lnkConn);
    else this.#notOnDemand(source, lnkConn);
    // protocol.md, "The link layer" 4: the peer closes a relay; we close our side.
    this.close(relay, 'refused');
    this.#metrics.relaysRefused++;
    if (!relay.wanted) {
      this.#reports.onDemandClosed(relay);
      return;
    }
    this.#reports.relayRefused(relay);
  }

  /** The relay's connection was lost. */
  onLost({ data: relay }: Transaction<Relay | null>): void {
    if (relay === null) return;
    const rest = this.#forget(relay, 'connection');
    if (rest !== null) this.#endings.run(relay.lnkConn.connection.principal, rest);
  }

  onStacked({ data: relay }: Transaction<Relay | null>, tx: Transaction, frame: Frame): void {
    this.#routing.open(relay, tx, frame);
  }

  onOneWay({ data: relay }: Transaction<Relay | null>, frame: Frame): void {
    this.#routing.oneWay(relay, frame);
  }

  /** Closes one relay after the other, in slices. Returns the number closed since the last `yield`. */
  *#closing(next: () => Relay | null, why: RelayClosing): Job<number> {
    let units = 0;
    for (let relay = next(); relay !== null; relay = next()) {
      // What runs over it may be more than a slice.
      const rest = this.#beginClosing(relay, why);
      if (rest !== null) yield* rest;
      if (++units < SLICE_UNITS) continue;
      yield units;
      units = 0;
    }
    return units;
  }

  /** Closed when this returns. What is left to be done, its DELETE last; null: nothing. */
  #beginClosing(relay: Relay, why: RelayClosing): EndingJob | null {
    const { tx, lnkConn } = relay;
    const before = this.#forget(relay, why);
    const rest = before === null ? (tx?.endpoint.cutting(tx) ?? null) : cuttingAfter(before, tx);
    return rest === null ? null : lnkConn.closes.begin(rest);
  }

  #add(relay: Relay): Relay {
    relay.source.relays.set(relay.lnkConn.id, relay);
    relay.lnkConn.addRelay(relay);
    this.#metrics.relays++;
    this.#shares.chargeRelay(relay, 1);
    if (!relay.wanted) this.#count(relay, 1);
    return relay;
  }

  #setWanted(relay: Relay, isWanted: boolean): void {
    relay.wanted = isWanted;
    this.#count(relay, isWanted ? -1 : 1);
  }

  /** Counts one more or one fewer relay that is open on demand. */
  #count({ lnkConn }: Relay, more: 1 | -1): void {
    this.#metrics.onDemandRelays += more;
    lnkConn.returnPaths += more;
  }

  #begin(relay: Relay, peer: Peer): void {
    const { endpoint } = peer.connection;
    if (endpoint === null) return;
    this.#metrics.relaysOpened++;
    if (relay.source.sampledUs > 0) this.#observeFirst(relay);
    const tx = endpoint.openLike<Relay | null>(this, relay.source.template(this.rnssAdd));
    tx.data = relay;
    relay.tx = tx;
    peer.relays++;
  }

  /** Measures from the later of link and LNK_CONN: a peer may ask for spans long after the link has come. */
  #observeFirst({ source, lnkConn }: Relay): void {
    const sinceUs = Math.max(source.sampledUs, lnkConn.openedUs);
    source.sampledUs = 0;
    this.#metrics.firstRelay.observe(this.#clock.now() / 1000 - sinceUs / 1_000_000);
  }

  /** What is to be done before its DELETE goes out; null: nothing. */
  #forget(relay: Relay, why: RelayClosing): EndingJob | null {
    const { source, tx } = relay;
    const rest = this.#routing.closing(relay);
    relay.close();
    this.#metrics.relays--;
    this.#metrics.relaysClosed[why]++;
    this.#shares.chargeRelay(relay, -1);
    if (!relay.wanted) this.#count(relay, -1);
    source.relays.delete(relay.lnkConn.id);
    if (source.relays.size === 0) {
      source.dropTemplate();
      this.#forgetUnused(source);
    }
    relay.lnkConn.removeRelay(relay);
    if (tx === null) return rest;
    tx.data = null;
    relay.tx = null;
    relay.lnkConn.peer.relays--;
    return rest;
  }

  /**
   * Remembers that the peer does not want a return path to this link on this LNK_CONN, so that none is opened again.
   * Past the limit the oldest such refusal is forgotten.
   */
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

  /**
   * Forgets a link of another gateway that is not in use here. Not if the leader knows that we know the link: then the
   * leader tells us when it is gone.
   */
  #forgetUnused(source: RelaySource): void {
    if (source.gateway === '' || source.leaderKnows || source.isInUse) return;
    this.#tables.forgetRemote(source);
  }
}

function* cuttingAfter(before: EndingJob, tx: Transaction | null): EndingJob {
  yield* before;
  const rest = tx?.endpoint.cutting(tx) ?? null;
  if (rest !== null) yield* rest;
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
