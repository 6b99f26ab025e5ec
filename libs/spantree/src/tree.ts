import { DIALECT_RULES, perDialect } from './dialects.ts';
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
import type { RelayDelta } from './relay-delta.ts';
import { Selection } from './selection.ts';
import { type ClusterKey, type Dialect, type LnkConnFilter, PEER_TYPE_MAX, type SpanKey } from './span.ts';
import { finish, type TreeWork } from './tree-work.ts';

export type { Explanation, Verdict } from './explain.ts';
export type { StopReason } from './model/filter-class.ts';
export type { Cluster, Connection, ConnectionRef, Link, LnkConn, Node } from './model/parts.ts';
export { compareClusters } from './model/parts.ts';
export type { Reader } from './model/readers.ts';
export type { RelayDelta } from './relay-delta.ts';
export type { ClusterKey, Dialect, LnkConnFilter, SpanKey } from './span.ts';
export type { TreeWork } from './tree-work.ts';

/** Units of work between two `yield`s, or a few more: one node, with all its LNK_CONNs, is never divided. */
export const DEFAULT_PIECE_UNITS = 256;
/**
 * Looking at the cells of one LNK_CONN in this many nodes, or reporting this many gone relays, takes as long as one
 * unit.
 */
const LOOKED_PER_UNIT = 8;

/**
 * Highest dist of a link that is relayed: a span that goes round a loop ends there (architecture.md, "Relay
 * selection").
 */
export const DEFAULT_MAX_DIST = 16;

/** Links of one node that are relayed to one LNK_CONN at most, by dialect. */
export type Widths = Readonly<Record<Dialect, number>>;

export interface SpanTreeOptions {
  /** Links relayed at most per node and LNK_CONN (architecture.md, "Relay selection"). */
  readonly widths?: Partial<Widths>;
  readonly maxDist?: number;
  /** Approximate number of units in a piece of work. */
  readonly pieceUnits?: number;
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
 * The core of the relay decisions. Its input is what peers offer and ask for (connections, LNK_CONNs, links); its
 * output, at `flush`, is which link is relayed on which LNK_CONN. Pure and synchronous. The rule: architecture.md,
 * "Relay selection"; the identities and refusals: protocol.md, "The link layer" 2 and 4. Cost: a new or removed link
 * concerns its node and the LNK_CONNs of its dialect, a LNK_CONN the nodes of its dialect; nothing else is looked at. A
 * walk looks at the links that it takes, at the one where it stops, and at those that it skips as unreachable. Memory:
 * a node's row takes at most 16 bytes a relay, or half a kilobyte (see `Row`). Reports and removals can cross, so calls
 * that report on a removed object have no effect; adding to a removed connection throws.
 */
export class SpanTree {
  /** Approximate number of units in a piece of work. */
  readonly pieceUnits: number;
  readonly #tables: Readonly<Record<Dialect, DialectTables>>;
  readonly #reachability = new Reachability();
  readonly #readers = new Readers();
  readonly #connections = new Connections();
  /** Gateways whose LNK_CONNs' relays flushes do not change. */
  readonly #held = new Set<string>();
  readonly #selection = new Selection();
  readonly #goneRelays = new GoneRelays();
  #flushing = false;

  /** @throws SpanTreeError `option` */
  constructor(options: SpanTreeOptions = {}) {
    this.pieceUnits = option('pieceUnits', options.pieceUnits ?? DEFAULT_PIECE_UNITS, 1);
    const maxDist = option('maxDist', options.maxDist ?? DEFAULT_MAX_DIST, 0);
    const tablesOf = (dialect: Dialect) => {
      const width = option('width', options.widths?.[dialect] ?? DIALECT_RULES[dialect].width, 1);
      return new DialectTables(width, maxDist, this.#reachability, this.#readers);
    };
    this.#tables = perDialect(tablesOf);
  }

  addConnection(gateway: GatewayId, id: ConnId, data?: unknown): Connection {
    this.#changing();
    const connection = new Connection(gateway, id, data);
    this.#connections.add(connection);
    return connection;
  }

  /** Removes the connection with its links and LNK_CONNs. */
  removeConnection(connection: Connection): void {
    this.#changing();
    if (connection.removed) return;
    for (const link of connection.links) this.removeLink(link);
    for (const lnkConn of connection.lnkConns) this.removeLnkConn(lnkConn);
    connection.removed = true;
    this.#connections.remove(connection);
  }

  /** Marks the connection as suspect or not. The links of a suspect rank behind equally near ones. */
  setSuspect(connection: Connection, suspect: boolean): void {
    this.#changing();
    if (connection.removed || connection.suspect === suspect) return;
    for (const link of connection.links) this.#tablesOf(link).unrank(link);
    connection.suspect = suspect;
    for (const link of connection.links) this.#tablesOf(link).rank(link);
  }

  /**
   * The peer has opened a LNK_CONN.
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

  /** As `removeLnkConn`, in pieces: it looks at every node. */
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
   * The peer has opened a LNK_SPAN.
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
   * The peer has closed the relay (protocol.md, "The link layer" 4). The pair still counts as taken. It is offered
   * again when the set of links taken for its node and LNK_CONN changes. If one of them is removed, that is the case at
   * once, so that a refusal between the removal and the next flush is kept; other changes count as of the flush.
   * Ignored if the pair has no open relay here: it was closed or went meanwhile.
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
   * Sets all gateways that `gateway` cannot reach, until the next call for it. Walks for its LNK_CONNs skip the links
   * of those gateways, also links added later. Returns the gateways for which that has changed.
   */
  setUnreachable(gateway: GatewayId, others: ReadonlySet<GatewayId>): ReadonlySet<GatewayId> {
    return finish(this.settingUnreachable(gateway, others));
  }

  /** As `setUnreachable`, in pieces: it looks at every link of the gateways for which something has changed. */
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

  /** The gateways that `gateway` cannot reach, as set last. */
  unreachableFrom(gateway: GatewayId): ReadonlySet<GatewayId> {
    return this.#reachability.of(gateway);
  }

  /** Whether gateway `from` reaches gateway `to`: only then can links of `to` be relayed on the LNK_CONNs of `from`. */
  reaches(from: string, to: string): boolean {
    return this.#reachability.reaches(from, to);
  }

  /**
   * Holds the relays on the LNK_CONNs of `gateway`, or ends that. While they are held, flushes open and close none of
   * them; but a relay still goes with its link or LNK_CONN, and adopted relays are recorded. When they are released,
   * the next flush looks at all of them.
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
   * Forgets which relays are open on the LNK_CONN and which are refused; the caller adopts the true ones next. The next
   * flush looks at every node for this LNK_CONN. In pieces: this call looks at every node, too.
   */
  *forgettingRelays(lnkConn: LnkConn): TreeWork {
    this.#changing();
    if (lnkConn.removed) return;
    const tables = this.#tables[lnkConn.filter.dialect];
    yield* this.#emptyingCells(tables, lnkConn, (link) => uncount(tables, link, lnkConn));
    tables.dirtyLnkConns.add(lnkConn);
  }

  /**
   * The relay is open on the wire already (a gateway's snapshot says so). The next flush closes it if selection does
   * not take it, and otherwise leaves it. Overrides an adopted refusal.
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
   * The peer has refused the relay already (a gateway's snapshot says so). The refusal is kept if the next flush takes
   * exactly the adopted links, open and refused together, for this node and LNK_CONN; otherwise the relay is offered
   * again. An open relay becomes refused.
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
   * Writes out what has changed since the last flush: relays that went, then those that selection opens and closes. For
   * a node, opens come before closes, so that a peer does not lose sight of it in between.
   * @throws SpanTreeError `reentrant`
   */
  flush(out: RelayDelta): void {
    finish(this.flushing(out));
  }

  /**
   * As `flush`, in pieces. Changes between the pieces throw SpanTreeError `reentrant`: the whole selection is made from
   * one state, so it does not depend on how it is cut into pieces.
   */
  *flushing(out: RelayDelta): TreeWork {
    this.#changing();
    this.#flushing = true;
    try {
      yield* this.#tellingGone(out);
      for (const tables of Object.values(this.#tables)) {
        if (tables.isDirty)
          yield* this.#selection.flushing(tables, this.#selectable(tables), { out, pieceUnits: this.pieceUnits });
      }
    } finally {
      this.#selection.clear();
      this.#flushing = false;
    }
  }

  /** Reports the relays that went since the last time, without selecting anything. */
  tellGone(out: Pick<RelayDelta, 'gone'>): void {
    finish(this.#tellingGone(out));
  }

  /**
   * Forgets the relays that the next flush would report as gone: for a replica that follows snapshots and never
   * flushes.
   */
  forgetGone(): void {
    this.#goneRelays.clear();
  }

  /**
   * For `count` of the node's links, from the `from`th on, best first: whether the next flush takes the link, or why
   * not.
   */
  explain(node: Node, lnkConn: LnkConn, from = 0, count: number = Number.POSITIVE_INFINITY): Explanation[] {
    return explain(node, lnkConn, from, count);
  }

  /**
   * Registers a reader that goes through the tree slowly and wants to see its present state: it is told of everything
   * before it changes. The returned function ends that.
   */
  read(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.remove(reader);
  }

  /** The caller is about to change data of its own that belongs to the link: tells the readers. */
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

  /** Undoes one holdCluster. Ignored if the cluster is not held. */
  releaseCluster(cluster: Cluster): void {
    this.#changing();
    if (cluster.holds === 0) return;
    cluster.holds--;
    this.#tables[cluster.dialect].removeClusterIfUnused(cluster);
  }

  findCluster(key: ClusterKey): Cluster | undefined {
    return this.#tables[key.dialect].findCluster(key);
  }

  /** All clusters. Sorted: linkid's by uuid, then circuit's by (peer_type, uuid, label). */
  *clusters(): Iterable<Cluster> {
    for (const tables of Object.values(this.#tables)) yield* tables.sortedClusters();
  }

  /**
   * The clusters of one dialect, sorted as in `clusters`. A returned array does not change when clusters come and go.
   */
  clustersOf(dialect: Dialect): readonly Cluster[] {
    return this.#tables[dialect].sortedClusters();
  }

  get counts(): TreeCounts {
    const all = Object.values(this.#tables);
    const sum = (of: (tables: DialectTables) => number) => all.reduce((total, tables) => total + of(tables), 0);
    return {
      clusters: sum((tables) => tables.clusterCount),
      nodes: sum((tables) => tables.nodes.length),
      links: sum((tables) => tables.linkCount),
      lnkConns: sum((tables) => tables.lnkConnCount),
      relays: sum((tables) => tables.openRelays),
      connections: this.#connections.size,
      refused: sum((tables) => tables.refusals),
    };
  }

  /** Pairs (node, LNK_CONN) that flushes looked at so far. */
  get evaluations(): number {
    return this.#selection.evaluations;
  }

  /** Links that flushes looked at so far. */
  get linkVisits(): number {
    return this.#selection.linkVisits;
  }

  /** Empties the LNK_CONN's cells in every node. `opened` is called for each link that had an open relay on it. */
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

  /** The LNK_CONNs whose gateways are not held; those of a filter class follow each other. */
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

  /** The tables for the pair, or undefined if its link or LNK_CONN was removed. */
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

/** Counts the relay of the pair as closed. */
function uncount(tables: DialectTables, link: Link, lnkConn: LnkConn): void {
  tables.openRelays--;
  link.relayCount--;
  lnkConn.relayCount--;
}

/**
 * The set of taken links has changed: makes the refused relays of the slot count as not offered, so that the next flush
 * offers them again if it still takes them.
 */
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
