import type { LinkId, LnkConnId } from '../ids.ts';
import type { ClusterKey, LnkConnFilter, SpanKey } from '../span.ts';
import { FilterClass, filterClassKey } from './filter-class.ts';
import { insertLink, removeLink } from './order.ts';
import type { Connection, Node, RowKeys } from './parts.ts';
import { Cluster, clusterKeyText, compareClusters, Link, LnkConn } from './parts.ts';
import type { Reachability } from './reachability.ts';
import { Readers } from './readers.ts';
import { SortedList } from './sorted-list.ts';

/**
 * Everything of one dialect: clusters → nodes → links, the LNK_CONNs, and which of them a change has touched. It opens
 * and closes no relays.
 */
export class DialectTables implements RowKeys {
  /** Most links of a node that are relayed on one LNK_CONN. */
  readonly width: number;
  /** Highest dist of a link that is relayed. */
  readonly maxDist: number;
  readonly reachability: Reachability;
  /** Told before anything changes. */
  readonly readers: Readers;
  readonly nodes: Node[] = [];
  /** Nodes that the next flush looks at for every LNK_CONN. */
  readonly dirtyNodes: Set<Node> = new Set();
  /** LNK_CONNs for which the next flush looks at every node. */
  readonly dirtyLnkConns: Set<LnkConn> = new Set();
  linkCount = 0;
  lnkConnCount = 0;
  /** Number of open relays; the code that writes the rows' cells (tree.ts, selection.ts) counts them here. */
  openRelays = 0;
  /** Number of relays that peers have refused; counted by the same code. */
  refusals = 0;
  readonly #clusters = new Map<string, Cluster>();
  readonly #sortedClusters = new SortedList<Cluster>(() => this.#clusters.values(), compareClusters);
  readonly #classes = new Map<string, FilterClass<LnkConn>>();
  #byClass: readonly LnkConn[] | undefined;
  /** Links by ref. Ref 0 is not used: in a row, 0 means an empty cell. */
  readonly #links: (Link | undefined)[] = [undefined];
  readonly #freeRefs: number[] = [];
  readonly #lnkConns: (LnkConn | undefined)[] = [];
  readonly #freeSlots: number[] = [];

  constructor(width: number, maxDist: number, reachability: Reachability, readers: Readers = new Readers()) {
    this.readers = readers;
    this.width = width;
    this.maxDist = maxDist;
    this.reachability = reachability;
  }

  /** Number of slots: the highest that was ever used + 1. */
  get slots(): number {
    return this.#lnkConns.length;
  }

  /** There is something to look at. */
  get isDirty(): boolean {
    return this.dirtyNodes.size > 0 || this.dirtyLnkConns.size > 0;
  }

  link(ref: number): Link {
    return this.#links[ref]!;
  }

  lnkConn(slot: number): LnkConn {
    return this.#lnkConns[slot]!;
  }

  get clusterCount(): number {
    return this.#clusters.size;
  }

  sortedClusters(): readonly Cluster[] {
    return this.#sortedClusters.all;
  }

  findCluster(key: ClusterKey): Cluster | undefined {
    return this.#clusters.get(clusterKeyText(key));
  }

  cluster(key: ClusterKey): Cluster {
    const text = clusterKeyText(key);
    let cluster = this.#clusters.get(text);
    if (cluster === undefined) {
      cluster = new Cluster(key, this);
      this.#clusters.set(text, cluster);
      this.#sortedClusters.added(cluster);
    }
    return cluster;
  }

  removeClusterIfUnused(cluster: Cluster): void {
    if (cluster.nodeCount > 0 || cluster.holds > 0) return;
    if (this.#clusters.delete(clusterKeyText(cluster))) this.#sortedClusters.removed(cluster);
  }

  /** All LNK_CONNs; those of a filter class follow each other. */
  lnkConnsByClass(): readonly LnkConn[] {
    if (this.#byClass === undefined) {
      const all: LnkConn[] = [];
      for (const filterClass of this.#classes.values()) all.push(...filterClass.members);
      this.#byClass = all;
    }
    return this.#byClass;
  }

  addLnkConn(connection: Connection, id: LnkConnId, filter: LnkConnFilter): LnkConn {
    const key = filterClassKey(connection.gateway, filter);
    let filterClass = this.#classes.get(key);
    if (filterClass === undefined) {
      filterClass = new FilterClass<LnkConn>(connection.gateway, filter, this);
      this.#classes.set(key, filterClass);
    }
    const slot = this.#freeSlots.pop() ?? this.#lnkConns.length;
    const lnkConn = new LnkConn(connection, id, filter, { slot, filterClass, tables: this });
    this.#lnkConns[slot] = lnkConn;
    filterClass.members.add(lnkConn);
    this.#byClass = undefined;
    this.lnkConnCount++;
    this.dirtyLnkConns.add(lnkConn);
    return lnkConn;
  }

  /** The LNK_CONN's cells must be empty. */
  removeLnkConn(lnkConn: LnkConn): void {
    const { filterClass, slot } = lnkConn;
    filterClass.members.delete(lnkConn);
    if (filterClass.members.size === 0) this.#classes.delete(filterClass.key);
    this.#lnkConns[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#byClass = undefined;
    this.lnkConnCount--;
    this.dirtyLnkConns.delete(lnkConn);
  }

  addLink(connection: Connection, id: LinkId, span: SpanKey): Link {
    const cluster = this.cluster(span);
    let node = cluster.node(span.nodeId, span.label);
    this.readers.changing(cluster, node);
    if (node === undefined) {
      node = cluster.addNode(span.nodeId, span.label);
      node.index = this.nodes.push(node) - 1;
    }
    const ref = this.#freeRefs.pop() ?? this.#links.length;
    const link = new Link(connection, id, span, node, ref);
    this.#links[ref] = link;
    insertLink(node.sortedLinks, link);
    this.linkCount++;
    this.dirtyNodes.add(node);
    return link;
  }

  /**
   * Takes the link out of its node's order. Call it before something changes that the order depends on, and `rank`
   * afterwards.
   */
  unrank(link: Link): void {
    this.readers.changing(link.node.cluster, link.node);
    removeLink(link.node.sortedLinks, link);
  }

  rank(link: Link): void {
    const links = link.node.sortedLinks;
    insertLink(links, link);
    if (links.length > 1) this.dirtyNodes.add(link.node);
  }

  /**
   * The link's cells must be empty. Its node goes with its last link, the cluster with its last node unless it is held.
   */
  removeLink(link: Link): void {
    const { node, ref } = link;
    removeLink(node.sortedLinks, link);
    this.#links[ref] = undefined;
    this.#freeRefs.push(ref);
    this.linkCount--;
    if (node.sortedLinks.length > 0) {
      this.dirtyNodes.add(node);
      return;
    }
    this.dirtyNodes.delete(node);
    const last = this.nodes.pop();
    if (last !== undefined && last !== node) {
      this.nodes[node.index] = last;
      last.index = node.index;
    }
    node.cluster.removeNode(node);
    this.removeClusterIfUnused(node.cluster);
  }
}
