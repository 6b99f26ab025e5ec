import { DIALECT_RULES } from '../dialects.ts';
import type { ConnId, GatewayId, LinkId, LnkConnId } from '../ids.ts';
import type { ClusterKey, Dialect, LnkConnFilter, SpanKey } from '../span.ts';
import type { FilterClass } from './filter-class.ts';
import { Row } from './row.ts';
import { SortedList } from './sorted-list.ts';

// The parts of a tree: clusters → nodes → links on one side, connections → LNK_CONNs and links on the other. They refer
// to each other both ways, so they are declared in one file. Only SpanTree makes and changes them.

/** The meaning of the numbers in a node's row. */
export interface RowKeys {
  /** The link of a ref. */
  link(ref: number): Link;
  /** The LNK_CONN of a slot. */
  lnkConn(slot: number): LnkConn;
  readonly nodes: readonly Node[];
  /** Most links of a node that are relayed on one LNK_CONN. */
  readonly width: number;
}

/** A group of nodes. Exists while it has a node or is held. Made and changed by SpanTree only. */
export class Cluster {
  readonly dialect: Dialect;
  readonly clusterId: string;
  /** Peer type and labels are part of the identities of the cluster and of its nodes: circuit. */
  readonly hasLabels: boolean;
  /** circuit: part of the identity. linkid: 0. */
  readonly peerType: number;
  /** circuit: part of the identity. linkid: ''. */
  readonly peerLabel: string;
  /** The caller's own data. */
  data: unknown = undefined;
  /** How often SpanTree.holdCluster was called for it, less the releases. */
  holds = 0;
  /** @internal */
  readonly tables: RowKeys;
  readonly #nodes = new Map<string, Node>();
  readonly #sorted: SortedList<Node>;

  constructor(key: ClusterKey, tables: RowKeys) {
    this.dialect = key.dialect;
    this.clusterId = key.clusterId;
    this.hasLabels = DIALECT_RULES[key.dialect].hasLabels;
    this.peerType = this.hasLabels ? key.peerType : 0;
    this.peerLabel = this.hasLabels ? key.peerLabel : '';
    this.tables = tables;
    this.#sorted = new SortedList(() => this.#nodes.values(), this.hasLabels ? byLabelAndId : byId);
  }

  get nodeCount(): number {
    return this.#nodes.size;
  }

  /** Sorted: circuit by (label, uuid), linkid by uuid. A returned array does not change when nodes come and go. */
  nodes(): readonly Node[] {
    return this.#sorted.all;
  }

  /** The node, or undefined if there is none. In linkid `label` is ignored. */
  node(nodeId: string, label: string): Node | undefined {
    return this.#nodes.get(this.#key(nodeId, label));
  }

  /** @internal */
  addNode(nodeId: string, label: string): Node {
    const node = new Node(this, nodeId, label);
    this.#nodes.set(this.#key(nodeId, label), node);
    this.#sorted.added(node);
    return node;
  }

  /** @internal */
  removeNode(node: Node): void {
    this.#nodes.delete(this.#key(node.nodeId, node.label));
    this.#sorted.removed(node);
  }

  /** protocol.md, "The link layer" 2: the identity is pfs_fsid in linkid, (pfs_label, pfs_id) in circuit. */
  #key(nodeId: string, label: string): string {
    return this.hasLabels ? `${nodeId} ${label}` : nodeId;
  }
}

/**
 * A member of a cluster: one pfs, with the links that lead to it. Exists while it has a link. Made and changed by
 * SpanTree only.
 */
export class Node {
  readonly cluster: Cluster;
  readonly nodeId: string;
  /** circuit: part of the identity. linkid: the label of the node's first link, for display. */
  readonly label: string;
  /** The caller's own data. */
  data: unknown = undefined;
  /** @internal Sorted, best first. */
  readonly sortedLinks: Link[] = [];
  /** @internal The result of the last selection for each LNK_CONN. */
  readonly row: Row = new Row();
  /** @internal Its index in RowKeys.nodes. */
  index = -1;

  constructor(cluster: Cluster, nodeId: string, label: string) {
    this.cluster = cluster;
    this.nodeId = nodeId;
    this.label = label;
  }

  /** The label as far as it is part of the identity: empty in linkid. */
  get keyLabel(): string {
    return this.cluster.hasLabels ? this.label : '';
  }

  /** Sorted, best first. */
  get links(): readonly Link[] {
    return this.sortedLinks;
  }
}

/**
 * Identifies a connection in the whole installation. `gateway` is name + boot id; `id` is never reused within a boot.
 */
export interface ConnectionRef {
  readonly gateway: GatewayId;
  readonly id: ConnId;
}

/** A TCP link of a peer to a gateway. Made and changed by SpanTree only. */
export class Connection implements ConnectionRef {
  readonly gateway: GatewayId;
  readonly id: ConnId;
  /** The caller's own data. */
  data: unknown;
  /** Its links rank behind equally near ones (architecture.md, "Half-dead peers"). Changed by SpanTree.setSuspect. */
  suspect = false;
  removed = false;
  readonly lnkConns: Set<LnkConn> = new Set();
  readonly links: Set<Link> = new Set();

  constructor(gateway: GatewayId, id: ConnId, data: unknown) {
    this.gateway = gateway;
    this.id = id;
    this.data = data;
  }
}

/** A request for spans on a connection (LNK_CONN). Made and changed by SpanTree only. */
export class LnkConn {
  readonly connection: Connection;
  readonly id: LnkConnId;
  readonly filter: LnkConnFilter;
  /** The caller's own data. */
  data: unknown = undefined;
  /** Number of relays that are open on it. */
  relayCount = 0;
  removed = false;
  /** @internal Its number within its dialect, reused when it is gone: the index of its cells in every node's row. */
  readonly slot: number;
  /** @internal */
  readonly filterClass: FilterClass<LnkConn>;
  readonly #tables: RowKeys;

  constructor(
    connection: Connection,
    id: LnkConnId,
    filter: LnkConnFilter,
    place: { readonly slot: number; readonly filterClass: FilterClass<LnkConn>; readonly tables: RowKeys },
  ) {
    this.connection = connection;
    this.id = id;
    this.filter = filter;
    this.slot = place.slot;
    this.filterClass = place.filterClass;
    this.#tables = place.tables;
  }

  /** Whether a relay of the link is open on this LNK_CONN. */
  has(link: Link): boolean {
    return !this.removed && link.node.cluster.tables === this.#tables && link.node.row.find(this.slot, link.ref) >= 0;
  }

  /** The links of the node whose relays are open on this LNK_CONN, in no particular order. */
  relaysOf({ cluster, row }: Node): Link[] {
    const links: Link[] = [];
    if (this.removed || cluster.tables !== this.#tables) return links;
    const begin = row.begin(this.slot);
    const end = row.end(this.slot, begin);
    for (let at = begin; at < end; at++) {
      const cell = row.at(at);
      if (cell > 0) links.push(this.#tables.link(cell));
    }
    return links;
  }

  /**
   * All links whose relays are open on this LNK_CONN, in no particular order. Takes time in the number of nodes; the
   * tree must not change meanwhile.
   */
  *relays(): Iterable<Link> {
    let left = this.relayCount;
    for (const { row } of this.#tables.nodes) {
      if (left === 0) return;
      const begin = row.begin(this.slot);
      const end = row.end(this.slot, begin);
      for (let at = begin; at < end; at++) {
        const cell = row.at(at);
        if (cell <= 0) continue;
        left--;
        yield this.#tables.link(cell);
      }
    }
  }
}

/** A LNK_SPAN received from a peer. Made and changed by SpanTree only. */
export class Link {
  readonly connection: Connection;
  readonly id: LinkId;
  readonly span: SpanKey;
  readonly node: Node;
  /** The caller's own data. */
  data: unknown = undefined;
  /** Number of its relays that are open. */
  relayCount = 0;
  removed = false;
  /**
   * dist as the dialect compares it: linkid signed, with negative ones taken as 0; circuit unsigned (architecture.md,
   * "Relay selection").
   */
  readonly dist: number;
  /** rnss as the dialect compares it: circuit unsigned, linkid always 0. */
  readonly rnss: number;
  /** @internal The number that means this link in its node's row: > 0, reused after the link is gone. */
  readonly ref: number;

  constructor(connection: Connection, id: LinkId, span: SpanKey, node: Node, ref: number) {
    this.connection = connection;
    this.id = id;
    this.span = span;
    this.node = node;
    this.ref = ref;
    const { isDistSigned, hasRnss } = DIALECT_RULES[span.dialect];
    this.dist = isDistSigned ? Math.max(0, span.dist | 0) : span.dist >>> 0;
    this.rnss = hasRnss ? span.rnss >>> 0 : 0;
  }

  /** The LNK_CONNs on which a relay of the link is open. The tree must not change meanwhile. */
  get relays(): Iterable<LnkConn> {
    return this.#relays();
  }

  /**
   * The LNK_CONNs whose peers have refused a relay of the link. Takes time in the number of LNK_CONNs; the tree must
   * not change meanwhile.
   */
  *refusals(): Iterable<LnkConn> {
    const { row, cluster } = this.node;
    for (let at = 0; at < row.length; at++) {
      if (row.at(at) === -this.ref) yield cluster.tables.lnkConn(row.slotAt(at));
    }
  }

  *#relays(): Iterable<LnkConn> {
    let left = this.relayCount;
    const { row, cluster } = this.node;
    for (let at = 0; left > 0 && at < row.length; at++) {
      if (row.at(at) === this.ref) {
        left--;
        yield cluster.tables.lnkConn(row.slotAt(at));
      }
    }
  }
}

/** protocol.md, "The link layer" 2: the identity is pfs_clid in linkid, (peer_type, peer_id, peer_label) in circuit. */
export function clusterKeyText(key: ClusterKey): string {
  const { hasLabels } = DIALECT_RULES[key.dialect];
  return hasLabels ? `${key.peerType} ${key.clusterId} ${key.peerLabel}` : key.clusterId;
}

/** Compares clusters of one dialect: circuit by (peer_type, uuid, label), linkid by uuid. */
export function compareClusters(a: Cluster, b: Cluster): number {
  return a.peerType - b.peerType || compareText(a.clusterId, b.clusterId) || compareText(a.peerLabel, b.peerLabel);
}

function byLabelAndId(a: Node, b: Node): number {
  return compareText(a.label, b.label) || compareText(a.nodeId, b.nodeId);
}

function byId(a: Node, b: Node): number {
  return compareText(a.nodeId, b.nodeId);
}

/**
 * Compares texts. For uuids that is also the DCE order (numbers first, then bytes), because their canonical text has
 * the digits in that order.
 */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
