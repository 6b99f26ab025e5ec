import type { ClusterTree, GetTreeRequest, GetTreeResponse, LinkTree, NodeTree } from '@spanmesh/proto/v1/topology';
import type { Cluster as ProtoCluster } from '@spanmesh/proto/v1/types';
import { dialectRank } from '@spanmesh/spantree/dialects';
import {
  type Cluster,
  compareClusters,
  type Link,
  type LnkConn,
  type Node,
  type Reader,
} from '@spanmesh/spantree/tree';
import { showCluster, showNode } from '../show/show-cluster.ts';
import { type LinkMoment, momentOf, relaysOf, showLink, showTarget } from '../show/show-link.ts';
import { linkBytes, nodeBytes } from '../trees/keys.ts';
import type { Trees } from '../trees/trees.ts';
import { clustersOf } from './lists.ts';

/** A part is complete at this many bytes (estimated): with one more link and its relays it is still below 1 MiB. */
const PART_BYTES = 512 * 1024;
/** Encoded size of a cluster (an upper bound). */
const CLUSTER_BYTES = 700;
/** Encoded size of a relay target (estimated). */
const TARGET_BYTES = 200;
/** The most relays of one link in one part. */
const MOST_TARGETS = 2048;
/** Encoded size of a node that is repeated in the next part (an upper bound). */
const NODE_AGAIN_BYTES = 4096;

/** A link with its changeable fields and its relays, as they were at the beginning. */
interface CapturedLink {
  readonly link: Link;
  readonly moment: LinkMoment;
  readonly relays: readonly LnkConn[];
}

/** A cluster with its nodes, as they were at the beginning. */
interface CapturedCluster {
  readonly cluster: ProtoCluster;
  /** The nodes that the cluster had at the beginning. The node objects themselves may have changed since. */
  readonly nodes: readonly Node[];
}

/** Copies of objects of a tree, made before they change, while the tree is read over many turns. */
class Capture implements Reader {
  readonly #withRelays: boolean;
  readonly #clusters = new Map<Cluster, CapturedCluster>();
  readonly #nodes = new Map<Node, readonly CapturedLink[]>();
  /** The cluster being read. Clusters before it are done: their changes need no copy. */
  #reading: Cluster | undefined;

  constructor({ withRelays }: { readonly withRelays: boolean }) {
    this.#withRelays = withRelays;
  }

  changing(cluster: Cluster, node: Node | undefined): void {
    // A cluster that is empty before the change did not exist when the reading began.
    if (cluster.nodeCount === 0 && cluster.holds === 0) return;
    if (this.#reading !== undefined && isBefore(cluster, this.#reading)) return;
    if (!this.#clusters.has(cluster)) this.#clusters.set(cluster, headOf(cluster));
    if (node !== undefined && !this.#nodes.has(node)) this.#nodes.set(node, this.#linksOf(node));
  }

  /** The cluster as it was at the beginning. Clusters must be read in their order. */
  cluster(cluster: Cluster): CapturedCluster {
    if (this.#reading !== undefined) this.#clusters.delete(this.#reading);
    this.#reading = cluster;
    const captured = this.#clusters.get(cluster) ?? headOf(cluster);
    // The copy is kept while the cluster's nodes are read, so that no other copy of it is made.
    this.#clusters.set(cluster, captured);
    return captured;
  }

  /** The links of a node as they were at the beginning. */
  links(node: Node): readonly CapturedLink[] {
    const captured = this.#nodes.get(node);
    if (captured === undefined) return this.#linksOf(node);
    this.#nodes.delete(node);
    return captured;
  }

  #linksOf(node: Node): CapturedLink[] {
    return node.links.map((link) => ({
      link,
      moment: momentOf(link),
      relays: this.#withRelays ? relaysOf(link) : [],
    }));
  }
}

function headOf(cluster: Cluster): CapturedCluster {
  return { cluster: showCluster(cluster), nodes: cluster.nodes() };
}

/** Whether the cluster is read before the other one. */
function isBefore(cluster: Cluster, other: Cluster): boolean {
  if (cluster.dialect !== other.dialect) return dialectRank(cluster.dialect) < dialectRank(other.dialect);
  return compareClusters(cluster, other) < 0;
}

/**
 * The trees at the moment when the first part is asked for. Each part is read when it is asked for, so that a turn of
 * the event loop reads only one part. All parts show the same state: objects that are about to change and have not been
 * read yet are copied first.
 * @throws ApiError INVALID_ARGUMENT: not an id or not a dialect
 */
export function treeParts(state: Trees, request: GetTreeRequest, revision: string): Iterable<GetTreeResponse> {
  return partsOf(state, { request, clusters: [...clustersOf(state, request.dialect, request.clusterId)], revision });
}

/** The contents of a part, as they are gathered. */
class Part {
  #clusters: ClusterTree[] = [];
  #bytes = 0;
  #cluster: ProtoCluster | undefined;
  #node: NodeTree | undefined;

  get isFull(): boolean {
    return this.#bytes >= PART_BYTES;
  }

  get isEmpty(): boolean {
    return this.#clusters.length === 0;
  }

  /** The nodes that follow are of this cluster. */
  beginCluster(cluster: ProtoCluster): void {
    this.#cluster = cluster;
    this.#node = undefined;
    this.#clusters.push({ cluster, nodes: [] });
    this.#bytes += CLUSTER_BYTES;
  }

  beginNode(node: NodeTree, bytes: number): void {
    if (this.isEmpty) this.beginCluster(this.#cluster!);
    this.#node = node;
    this.#clusters.at(-1)?.nodes.push(node);
    this.#bytes += bytes;
  }

  /** Adds a link of the node that was begun last. If the part was taken since, the node is repeated in the new one. */
  addLink(link: LinkTree, bytes: number): void {
    if (this.isEmpty) this.beginNode({ node: this.#node?.node, links: [] }, NODE_AGAIN_BYTES);
    this.#node?.links.push(link);
    this.#bytes += bytes;
  }

  /** Returns the part and begins a new one, in which the cluster and the node continue. */
  take(revision: string): GetTreeResponse {
    const clusters = this.#clusters;
    this.#clusters = [];
    this.#bytes = 0;
    return { clusters, revision };
  }
}

interface Asked {
  readonly request: GetTreeRequest;
  readonly clusters: readonly Cluster[];
  readonly revision: string;
}

/**
 * The parts of a tree. Until the last part is read, or the caller stops reading, objects are copied before they change.
 */
function* partsOf({ tree }: Trees, { request, clusters, revision }: Asked): Iterable<GetTreeResponse> {
  const capture = new Capture(request);
  const end = tree.read(capture);
  try {
    yield* partsIn(capture, clusters, revision);
  } finally {
    end();
  }
}

function* partsIn(capture: Capture, clusters: readonly Cluster[], revision: string): Iterable<GetTreeResponse> {
  const part = new Part();
  for (const one of clusters) {
    if (part.isFull) yield part.take(revision);
    const { cluster, nodes } = capture.cluster(one);
    part.beginCluster(cluster);
    for (const node of nodes) {
      const links = capture.links(node);
      const showing = links.map(({ link }) => link);
      part.beginNode({ node: showNode(node, showing), links: [] }, nodeBytes(node));
      for (const { link, moment, relays } of links) {
        // A link without relays is added, too.
        for (let at = 0; at === 0 || at < relays.length; at += MOST_TARGETS) {
          const targets = relays.slice(at, at + MOST_TARGETS);
          const bytes = linkBytes(link) + TARGET_BYTES * targets.length;
          part.addLink(
            { link: showLink(link, moment), relays: targets.map((lnkConn) => showTarget(link, lnkConn)) },
            bytes,
          );
          if (part.isFull) yield part.take(revision);
        }
      }
    }
  }
  // An empty tree is one part with a revision.
  if (!part.isEmpty || clusters.length === 0) yield part.take(revision);
}
