import { SpanTreeError } from './errors.ts';
import { type Explanation, explain } from './explain.ts';
import type { ConnId, GatewayId, LinkId, LnkConnId } from './ids.ts';
import { Connections } from './model/connections.ts';
import { DialectTables } from './model/dialect-tables.ts';
import { GoneRelays } from './model/gone-relays.ts';
import type { Cluster, Link, LnkConn, Node } from './model/parts.ts';
import { Connection } from './model/parts.ts';
import { Reachability } from './model/reachability.ts';
import { type Reader, Readers } from './model/readers.ts';
import { Selection } from './selection.ts';
import { type ClusterKey, type Dialect, type LnkConnFilter, PEER_TYPE_MAX, type SpanKey } from './span.ts';
import { finish, type TreeWork } from './tree-work.ts';

export type { Explanation, Verdict } from './explain.ts';
export type { StopReason } from './model/filter-class.ts';
export type { Cluster, Connection, ConnectionRef, Link, LnkConn, Node } from './model/parts.ts';
export { compareClusters } from './model/parts.ts';
export type { Reader } from './model/readers.ts';
export type { ClusterKey, Dialect, LnkConnFilter, SpanKey } from './span.ts';
export type { TreeWork } from './tree-work.ts';

/** Units between two `yield`s, or a few more: one node, with all its LNK_CONNs, is never divided. */
export const DEFAULT_PIECE_UNITS = 256;
/** Nodes in which one LNK_CONN's cells are looked at, or relays that are told to have gone, in the time of a unit. */
const LOOKED_PER_UNIT = 8;

/** Links relayed at most per node and LNK_CONN, linkid (architecture.md, "Relay selection"). */
export const DEFAULT_LINKID_WIDTH = 2;
/** Likewise, circuit. */
export const DEFAULT_CIRCUIT_WIDTH = 1;
/** Highest dist of a link that is relayed: closed loops end there (architecture.md, "Relay selection"). */
export const DEFAULT_MAX_DIST = 16;

export interface SpanTreeOptions {
  readonly linkidWidth?: number;
  readonly circuitWidth?: number;
  readonly maxDist?: number;
  /** Units of a piece of work, about. */
  readonly pieceUnits?: number;
}

/**
 * Where a flush writes to. Calls come grouped by link where the change allows. The tree must not be changed from within
 * one (SpanTreeError `reentrant`), and they should not throw: what the flush has not yet handed out then is lost.
 */
export interface RelayDelta {
  /** Selection takes the pair: open the relay. */
  open(link: Link, lnkConn: LnkConn): void;
  /** Selection no longer takes the pair: close the relay. */
  close(link: Link, lnkConn: LnkConn): void;
  /**
   * The relay went since the last flush because its link or its LNK_CONN (or their connection) was removed. Its gateway
   * closes such relays itself (architecture.md, "Loss is local"): this is for others to be told. Called before any open or close.
   */
  gone?(link: Link, lnkConn: LnkConn): void;
}

export interface TreeCounts {
  readonly clusters: number;
  readonly nodes: number;
  readonly links: number;
  readonly lnkConns: number;
  readonly relays: number;
  readonly connections: number;
  readonly refused: number;
}

/**
 * The relay decision core: what is offered (connections, LNK_CONNs, links) comes in, which link is relayed on which
 * LNK_CONN comes out, at `flush`. Pure and synchronous. The rule: architecture.md, "Relay selection"; the identities and
 * refusals: protocol.md, "The link layer" 2 and 4.
 *
 * Cost: a link that comes or goes concerns its node and the LNK_CONNs of its dialect, a LNK_CONN the nodes of its
 * dialect; nothing else is looked at. A walk looks at no more links than it takes, one more that it stops at, and those
 * that it skips as unreachable. Memory: of a node and its LNK_CONNs see `Row`, at most 16 bytes a relay and half a kilobyte.
 *
 * What is no longer there (removed) may still be named in calls that report on it, to no effect, because reports and
 * removals cross; adding to it throws.
 */
export class SpanTree {
  /** Units of a piece of work, about. */
  readonly pieceUnits: number;
  readonly #tables: Readonly<Record<Dialect, DialectTables>>;
  readonly #reachability = new Reachability();
  readonly #readers = new Readers();
  readonly #connections = new Connections();
  /** Gateways whose LNK_CONNs are left as they are. */
  readonly #held = new Set<string>();
  readonly #selection = new Selection();
  readonly #goneRelays = new GoneRelays();
  #flushing = false;

  /** @throws SpanTreeError `option` */
  constructor(options: SpanTreeOptions = {}) {
    this.pieceUnits = option('pieceUnits', options.pieceUnits ?? DEFAULT_PIECE_UNITS, 1);
    const maxDist = option('maxDist', options.maxDist ?? DEFAULT_MAX_DIST, 0);
    this.#tables = {
      linkid: this.#newTables(option('linkidWidth', options.linkidWidth ?? DEFAULT_LINKID_WIDTH, 1), maxDist),
      circuit: this.#newTables(option('circuitWidth', options.circuitWidth ?? DEFAULT_CIRCUIT_WIDTH, 1), maxDist),
    };
  }

  addConnection(gateway: GatewayId, id: ConnId, data?: unknown): Connection {
    this.#changing();
    const connection = new Connection(gateway, id, data);
    this.#connections.add(connection);
    return connection;
  }

  /** Its links and LNK_CONNs go with it. */
  removeConnection(connection: Connection): void {
    this.#changing();
    if (connection.removed) return;
    for (const link of connection.links) this.removeLink(link);
    for (const lnkConn of connection.lnkConns) this.removeLnkConn(lnkConn);
    connection.removed = true;
    this.#connections.remove(connection);
  }

  /** The links of a suspect rank behind equally near ones. */
  setSuspect(connection: Connection, suspect: boolean): void {
    this.#changing();
    if (connection.removed || connection.suspect === suspect) return;
    for (const link of connection.links) this.#tablesOf(link).unrank(link);
    connection.suspect = suspect;
    for (const link of connection.links) this.#tablesOf(link).rank(link);
  }

  /**
   * A LNK_CONN was opened by the peer.
   * @throws SpanTreeError `removed`, `peer-type`
   */
  addLnkConn(connection: Connection, id: LnkConnId, filter: LnkConnFilter): LnkConn {
    this.#adding(connection, filter.peerType);
    const lnkConn = this.#tables[filter.dialect].addLnkConn(connection, id, filter);
    connection.lnkConns.add(lnkConn);
    return lnkConn;
  }

  removeLnkConn(lnkConn: LnkConn): void {
    finish(this.removingLnkConn(lnkConn));
  }

  /** `removeLnkConn`, in pieces: every node is looked at. */
  *removingLnkConn(lnkConn: LnkConn): TreeWork {
    this.#changing();
    if (lnkConn.removed) return;
    const tables = this.#tables[lnkConn.filter.dialect];
    yield* this.#emptyingCells(tables, lnkConn, (link) => this.#gone(tables, link, lnkConn));
    tables.removeLnkConn(lnkConn);
    lnkConn.removed = true;
    lnkConn.connection.lnkConns.delete(lnkConn);
  }

  /**
   * A LNK_SPAN was opened by the peer.
   * @throws SpanTreeError `removed`, `peer-type`
   */
  addLink(connection: Connection, id: LinkId, span: SpanKey): Link {
    this.#adding(connection, span.peerType);
    const link = this.#tables[span.dialect].addLink(connection, id, span);
    connection.links.add(link);
    return link;
  }

  removeLink(link: Link): void {
    this.#changing();
    if (link.removed) return;
    const tables = this.#tablesOf(link);
    this.changing(link);
    const { row } = link.node;
    for (let at = 0; at < row.length; at++) {
      const cell = row.at(at);
      if (Math.abs(cell) !== link.ref) continue;
      const slot = row.slotAt(at);
      if (cell < 0) tables.refusals--;
      else this.#gone(tables, link, tables.lnkConn(slot));
      row.set(at, 0);
      forgetRefusals(tables, link.node, slot);
    }
    tables.removeLink(link);
    if (link.node.sortedLinks.length > 0) row.trim();
    link.removed = true;
    link.connection.links.delete(link);
  }

  /**
   * The peer has closed the relay (protocol.md, "The link layer" 4). The pair still counts as taken, and is offered again
   * when the set of links that selection takes for its node and LNK_CONN changes: at once when one of them goes (a
   * refusal that comes after that, but before the flush, stands), otherwise as of the flush. Ignored for a pair that has
   * no open relay here: it was closed or has gone meanwhile.
   * @throws SpanTreeError `dialect`
   */
  refuse(lnkConn: LnkConn, link: Link): void {
    const tables = this.#pair(lnkConn, link);
    if (tables === undefined) return;
    const { row } = link.node;
    const at = row.find(lnkConn.slot, link.ref);
    if (at < 0) return;
    this.changing(link);
    row.set(at, -link.ref);
    tables.refusals++;
    uncount(tables, link, lnkConn);
  }

  /**
   * Which others `gateway` cannot reach, all of them: their links, also those that come later, are skipped (not stopped at) for the
   * LNK_CONNs of `gateway`. Stays until it is set anew. Gives those for which that is different now.
   */
  setUnreachable(gateway: GatewayId, others: ReadonlySet<GatewayId>): ReadonlySet<GatewayId> {
    return finish(this.settingUnreachable(gateway, others));
  }

  /** `setUnreachable`, in pieces: every link of those is looked at for which it is different. */
  *settingUnreachable(gateway: GatewayId, others: ReadonlySet<GatewayId>): TreeWork<ReadonlySet<GatewayId>> {
    this.#changing();
    const changed = this.#reachability.set(gateway, others);
    let looked = 0;
    for (const other of changed) {
      for (const { links } of this.#connections.of(other)) {
        for (const link of links) {
          this.#tablesOf(link).dirtyNodes.add(link.node);
          if (++looked % (this.pieceUnits * LOOKED_PER_UNIT) === 0) yield this.pieceUnits;
        }
      }
    }
    return changed;
  }

  /** Those that `gateway` cannot reach, as was set. */
  unreachableFrom(gateway: GatewayId): ReadonlySet<GatewayId> {
    return this.#reachability.of(gateway);
  }

  /** Whether the links of gateway `to` are of use to the LNK_CONNs of gateway `from`. */
  reaches(from: string, to: string): boolean {
    return this.#reachability.reaches(from, to);
  }

  /**
   * Whether relays on the LNK_CONNs of `gateway` are left as they are: flushes open and close none there, but what goes with its link or
   * its LNK_CONN goes, and what is adopted is taken. Once it is not held any more, the next flush looks at all of them.
   */
  setHeld(gateway: GatewayId, held: boolean): void {
    this.#changing();
    if (held) {
      this.#held.add(gateway);
      return;
    }
    if (!this.#held.delete(gateway)) return;
    for (const { lnkConns } of this.#connections.of(gateway)) {
      for (const lnkConn of lnkConns) this.#tables[lnkConn.filter.dialect].dirtyLnkConns.add(lnkConn);
    }
  }

  /**
   * Forgets which relays are open on the LNK_CONN and which were refused, as if neither had been: what is so is adopted next. The next
   * flush looks at it for every node. In pieces: every node is looked at.
   */
  *forgettingRelays(lnkConn: LnkConn): TreeWork {
    this.#changing();
    if (lnkConn.removed) return;
    const tables = this.#tables[lnkConn.filter.dialect];
    yield* this.#emptyingCells(tables, lnkConn, (link) => uncount(tables, link, lnkConn));
    tables.dirtyLnkConns.add(lnkConn);
  }

  /**
   * The relay is open on the wire already (a gateway's snapshot says so): the next flush closes it if selection does not
   * take it, and otherwise leaves it. Overrides an adopted refusal.
   * @throws SpanTreeError `dialect`
   */
  adoptRelay(lnkConn: LnkConn, link: Link): void {
    const tables = this.#pair(lnkConn, link);
    const { row } = link.node;
    if (tables === undefined || row.find(lnkConn.slot, link.ref) >= 0) return;
    this.changing(link);
    const refused = row.find(lnkConn.slot, -link.ref);
    if (refused >= 0) {
      row.set(refused, link.ref);
      tables.refusals--;
    } else {
      row.put(lnkConn.slot, link.ref, tables.slots);
    }
    link.relayCount++;
    lnkConn.relayCount++;
    tables.openRelays++;
    tables.dirtyNodes.add(link.node);
  }

  /**
   * The peer had refused the relay already (a gateway's snapshot says so). Kept if the next flush takes for this node and
   * LNK_CONN exactly what was adopted, open and refused together; otherwise it is offered again. An open relay becomes refused.
   * @throws SpanTreeError `dialect`
   */
  adoptRefusal(lnkConn: LnkConn, link: Link): void {
    this.refuse(lnkConn, link);
    const tables = this.#pair(lnkConn, link);
    const { row } = link.node;
    if (tables === undefined || row.find(lnkConn.slot, -link.ref) >= 0) return;
    this.changing(link);
    row.put(lnkConn.slot, -link.ref, tables.slots);
    tables.refusals++;
    tables.dirtyNodes.add(link.node);
  }

  /**
   * Writes out what has changed since the last flush: relays that went, then what selection opens and closes. For one
   * node opens come before closes, so that a peer does not lose sight of it in between.
   * @throws SpanTreeError `reentrant`
   */
  flush(out: RelayDelta): void {
    finish(this.flushing(out));
  }

  /**
   * `flush`, in pieces. Whoever changes the tree in between gets a SpanTreeError `reentrant`: what is selected is selected from one state,
   * whoever selects from the same state, in other pieces, gets the same.
   */
  *flushing(out: RelayDelta): TreeWork {
    this.#changing();
    this.#flushing = true;
    try {
      yield* this.#tellingGone(out);
      yield* this.#flushingDialect(this.#tables.linkid, out);
      yield* this.#flushingDialect(this.#tables.circuit, out);
    } finally {
      this.#selection.clear();
      this.#flushing = false;
    }
  }

  /** Writes out the relays that went since the last time, and decides nothing. */
  tellGone(out: Pick<RelayDelta, 'gone'>): void {
    finish(this.#tellingGone(out));
  }

  /** Drops what the next flush would report as gone: for a replica that follows snapshots and never flushes. */
  forgetGone(): void {
    this.#goneRelays.clear();
  }

  /** For each of the node's links, best first, from the `from`th on, `count` at most: taken by the next flush, or why not. */
  explain(node: Node, lnkConn: LnkConn, from = 0, count: number = Number.POSITIVE_INFINITY): Explanation[] {
    return explain(node, lnkConn, from, count);
  }

  /**
   * Somebody goes through the tree slowly and is to see it as it is now: told of everything that is about to change, while it is as it was,
   * until what is returned is called.
   */
  read(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.remove(reader);
  }

  /** Something of the link is about to change that the caller keeps: whoever reads the tree is told. */
  changing({ node }: Link): void {
    this.#readers.changing(node.cluster, node);
  }

  /** Keeps the cluster in existence, also without nodes, until it is released as often as it was held. */
  holdCluster(key: ClusterKey): Cluster {
    this.#changing();
    const cluster = this.#tables[key.dialect].cluster(key);
    cluster.holds++;
    return cluster;
  }

  /** Ignored when it is not held. */
  releaseCluster(cluster: Cluster): void {
    this.#changing();
    if (cluster.holds === 0) return;
    cluster.holds--;
    this.#tables[cluster.dialect].removeClusterIfUnused(cluster);
  }

  findCluster(key: ClusterKey): Cluster | undefined {
    return this.#tables[key.dialect].findCluster(key);
  }

  /** Sorted: linkid's by uuid, then circuit's by (peer_type, uuid, label). */
  *clusters(): Iterable<Cluster> {
    yield* this.#tables.linkid.sortedClusters();
    yield* this.#tables.circuit.sortedClusters();
  }

  /** Those of one dialect, sorted likewise. What was given stays as it is when clusters come and go. */
  clustersOf(dialect: Dialect): readonly Cluster[] {
    return this.#tables[dialect].sortedClusters();
  }

  get counts(): TreeCounts {
    const { linkid, circuit } = this.#tables;
    return {
      clusters: linkid.clusterCount + circuit.clusterCount,
      nodes: linkid.nodes.length + circuit.nodes.length,
      links: linkid.linkCount + circuit.linkCount,
      lnkConns: linkid.lnkConnCount + circuit.lnkConnCount,
      relays: linkid.openRelays + circuit.openRelays,
      connections: this.#connections.size,
      refused: linkid.refusals + circuit.refusals,
    };
  }

  /** Pairs (node, LNK_CONN) looked at by flushes so far. */
  get evaluations(): number {
    return this.#selection.evaluations;
  }

  /** Links looked at by flushes so far. */
  get linkVisits(): number {
    return this.#selection.linkVisits;
  }

  /** Nothing is open on the LNK_CONN any more, nor refused; `opened` is told of the links that were relayed on it. */
  *#emptyingCells(tables: DialectTables, { slot }: LnkConn, opened: (link: Link) => void): TreeWork {
    let looked = 0;
    for (const node of tables.nodes) {
      const { row } = node;
      const begin = row.begin(slot);
      const end = row.end(slot, begin);
      for (let at = begin; at < end; at++) {
        const cell = row.at(at);
        if (cell === 0) continue;
        this.#readers.changing(node.cluster, node);
        row.set(at, 0);
        if (cell < 0) tables.refusals--;
        else opened(tables.link(cell));
      }
      row.trim();
      if (++looked % (this.pieceUnits * LOOKED_PER_UNIT) === 0) yield this.pieceUnits;
    }
  }

  *#tellingGone(out: Pick<RelayDelta, 'gone'>): TreeWork {
    const gone = out.gone?.bind(out);
    for (let told = 1; this.#goneRelays.tellOne(gone); told++) {
      if (told % (this.pieceUnits * LOOKED_PER_UNIT) === 0) yield this.pieceUnits;
    }
  }

  *#flushingDialect(tables: DialectTables, out: RelayDelta): TreeWork {
    const { dirtyNodes, dirtyLnkConns } = tables;
    if (dirtyNodes.size === 0 && dirtyLnkConns.size === 0) return;
    const all = this.#selectable(tables);
    const open = (link: Link, lnkConn: LnkConn): void => out.open(link, lnkConn);
    const close = (link: Link, lnkConn: LnkConn): void => out.close(link, lnkConn);
    const evaluate = (node: Node, lnkConns: readonly LnkConn[]): void => {
      this.#selection.evaluate(tables, node, lnkConns);
      this.#selection.opens.drain(open);
      this.#selection.closes.drain(close);
    };
    let done = this.#workDone;
    // A new LNK_CONN meets all nodes; node by node, so that what several new ones get of a link comes together.
    if (dirtyLnkConns.size > 0) {
      const some = all.filter((lnkConn) => dirtyLnkConns.has(lnkConn));
      for (const node of tables.nodes) {
        if (!dirtyNodes.has(node)) evaluate(node, some);
        if (this.#workDone - done < this.pieceUnits) continue;
        yield this.#workDone - done;
        done = this.#workDone;
      }
    }
    for (const node of dirtyNodes) {
      evaluate(node, all);
      if (this.#workDone - done < this.pieceUnits) continue;
      yield this.#workDone - done;
      done = this.#workDone;
    }
    dirtyNodes.clear();
    dirtyLnkConns.clear();
  }

  /** Units of selection so far. */
  get #workDone(): number {
    const { evaluations, linkVisits } = this.#selection;
    return evaluations + linkVisits;
  }

  #newTables(width: number, maxDist: number): DialectTables {
    return new DialectTables(width, maxDist, this.#reachability, this.#readers);
  }

  /** The LNK_CONNs that are not held, those of a filter class next to each other. */
  #selectable(tables: DialectTables): readonly LnkConn[] {
    const all = tables.lnkConnsByClass();
    return this.#held.size === 0 ? all : all.filter(({ connection }) => !this.#held.has(connection.gateway));
  }

  #gone(tables: DialectTables, link: Link, lnkConn: LnkConn): void {
    uncount(tables, link, lnkConn);
    this.#goneRelays.add(link, lnkConn);
  }

  #tablesOf(link: Link): DialectTables {
    return this.#tables[link.span.dialect];
  }

  /** The tables of the pair, or undefined when one of it is gone. */
  #pair(lnkConn: LnkConn, link: Link): DialectTables | undefined {
    this.#changing();
    if (lnkConn.filter.dialect !== link.span.dialect) {
      throw new SpanTreeError('dialect', 'link and LNK_CONN are of different dialects', {
        link: link.id,
        lnkConn: lnkConn.id,
      });
    }
    return lnkConn.removed || link.removed ? undefined : this.#tablesOf(link);
  }

  #adding(connection: Connection, peerType: number): void {
    this.#changing();
    if (connection.removed) {
      const { gateway, id } = connection;
      throw new SpanTreeError('removed', 'the connection is gone', { gateway, id });
    }
    if (!(Number.isInteger(peerType) && peerType >= 0 && peerType <= PEER_TYPE_MAX)) {
      throw new SpanTreeError('peer-type', `peer_type must be 0..${PEER_TYPE_MAX}`, { peerType });
    }
  }

  #changing(): void {
    if (this.#flushing) throw new SpanTreeError('reentrant', 'the tree was changed from within a flush');
  }
}

/** The relay of the pair is no longer open. */
function uncount(tables: DialectTables, link: Link, lnkConn: LnkConn): void {
  tables.openRelays--;
  link.relayCount--;
  lnkConn.relayCount--;
}

/** What was taken has changed: the refused rest is offered again if the next flush still takes it. */
function forgetRefusals(tables: DialectTables, { row }: Node, slot: number): void {
  const begin = row.begin(slot);
  const end = row.end(slot, begin);
  for (let at = begin; at < end; at++) {
    if (row.at(at) >= 0) continue;
    row.set(at, 0);
    tables.refusals--;
  }
}

function option(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new SpanTreeError('option', `${name} must be a whole number from ${least} up`, { [name]: value });
}
