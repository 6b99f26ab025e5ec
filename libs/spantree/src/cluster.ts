import type { DialectTables } from './dialect-tables.ts';
import { Node } from './node.ts';
import { SortedList } from './sorted-list.ts';
import type { ClusterKey, Dialect } from './span.ts';

/** The nodes that belong together. Exists while it has a node or is held. Made and changed by SpanTree only. */
export class Cluster {
  readonly dialect: Dialect;
  readonly clusterId: string;
  /** circuit: part of the identity. linkid: 0. */
  readonly peerType: number;
  /** circuit: part of the identity. linkid: ''. */
  readonly peerLabel: string;
  /** The caller's own. */
  data: unknown = undefined;
  /** How often SpanTree.holdCluster asked for it. */
  holds = 0;
  /** @internal */
  readonly tables: DialectTables;
  readonly #nodes = new Map<string, Node>();
  readonly #sorted: SortedList<Node>;

  constructor(key: ClusterKey, tables: DialectTables) {
    this.dialect = key.dialect;
    this.clusterId = key.clusterId;
    this.peerType = key.dialect === 'circuit' ? key.peerType : 0;
    this.peerLabel = key.dialect === 'circuit' ? key.peerLabel : '';
    this.tables = tables;
    this.#sorted = new SortedList(() => this.#nodes.values(), this.dialect === 'circuit' ? byLabelAndId : byId);
  }

  get nodeCount(): number {
    return this.#nodes.size;
  }

  /** Sorted: circuit by (label, uuid), linkid by uuid. What was given stays as it is when nodes come and go. */
  nodes(): readonly Node[] {
    return this.#sorted.all;
  }

  /** Undefined when there is no such node. In linkid `label` is not looked at. */
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
    return this.dialect === 'circuit' ? `${nodeId} ${label}` : nodeId;
  }
}

/** protocol.md, "The link layer" 2: the identity is pfs_clid in linkid, (peer_type, peer_id, peer_label) in circuit. */
export function clusterKeyText(key: ClusterKey): string {
  return key.dialect === 'circuit' ? `${key.peerType} ${key.clusterId} ${key.peerLabel}` : key.clusterId;
}

/** Order of the clusters of one dialect: circuit (peer_type, uuid, label), linkid uuid. */
export function compareClusters(a: Cluster, b: Cluster): number {
  return a.peerType - b.peerType || compareText(a.clusterId, b.clusterId) || compareText(a.peerLabel, b.peerLabel);
}

function byLabelAndId(a: Node, b: Node): number {
  return compareText(a.label, b.label) || compareText(a.nodeId, b.nodeId);
}

function byId(a: Node, b: Node): number {
  return compareText(a.nodeId, b.nodeId);
}

/** Also the DCE order of uuids (numbers first, then bytes): their canonical text has the digits in that order. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
