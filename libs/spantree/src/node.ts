import type { Cluster } from './cluster.ts';
import type { Link } from './link.ts';

const NO_ROW = new Int32Array(0);

/** What a cluster consists of: the links that lead to one pfs. Exists while it has a link. Made and changed by SpanTree only. */
export class Node {
  readonly cluster: Cluster;
  readonly nodeId: string;
  /** circuit: part of the identity. linkid: the label of the node's first link, for display. */
  readonly label: string;
  /** The caller's own. */
  data: unknown = undefined;
  /** @internal Sorted, best first. */
  readonly sortedLinks: Link[] = [];
  /**
   * @internal What the last selection took, `rowWidth` cells for each LNK_CONN slot (see row.ts). One array of 32-bit
   * numbers for a node, because hundreds of thousands of relays are held at once.
   */
  row: Int32Array = NO_ROW;
  /** @internal */
  rowWidth = 1;
  /** @internal Its place in DialectTables.nodes. */
  index = -1;

  constructor(cluster: Cluster, nodeId: string, label: string) {
    this.cluster = cluster;
    this.nodeId = nodeId;
    this.label = label;
  }

  /** Sorted, best first. */
  get links(): readonly Link[] {
    return this.sortedLinks;
  }
}
