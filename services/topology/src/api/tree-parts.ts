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

/** Bytes (estimated) after which a part is complete: with one link more, and its relays, it stays below 1 MiB. */
const PART_BYTES = 512 * 1024;
/** Encoded size of a cluster, estimated from above. */
const CLUSTER_BYTES = 700;
/** Encoded size of a relay target, estimated. */
const TARGET_BYTES = 200;
/** Relays of one link that are told together. */
const MOST_TARGETS = 2048;
/** Encoded size of a node that goes on in the next part, estimated from above. */
const NODE_AGAIN_BYTES = 4096;

interface CapturedLink {
  readonly link: Link;
  readonly moment: LinkMoment;
  readonly relays: readonly LnkConn[];
}

interface CapturedCluster {
  readonly cluster: ProtoCluster;
  /** As they were, each of them as it is. */
  readonly nodes: readonly Node[];
}

/** Objects of a tree that is read slowly that have changed since, as they were before. */
class Capture implements Reader {
  readonly #withRelays: boolean;
  readonly #clusters = new Map<Cluster, CapturedCluster>();
  readonly #nodes = new Map<Node, readonly CapturedLink[]>();
  /** Cluster being read; changes of the ones before it, in their order, are of no interest any more. */
  #reading: Cluster | undefined;

  constructor({ withRelays }: { readonly withRelays: boolean }) {
    this.#withRelays = withRelays;
  }

  changing(cluster: Cluster, node: Node | undefined): void {
    // One that has not been there before is not asked for.
    if (cluster.nodeCount === 0 && cluster.holds === 0) return;
    if (this.#reading !== undefined && isBefore(cluster, this.#reading)) return;
    if (!this.#clusters.has(cluster)) this.#clusters.set(cluster, headOf(cluster));
    if (node !== undefined && !this.#nodes.has(node)) this.#nodes.set(node, this.#linksOf(node));
  }

  /** The cluster as it was at the beginning. To be read in order. */
  cluster(cluster: Cluster): CapturedCluster {
    if (this.#reading !== undefined) this.#clusters.delete(this.#reading);
    this.#reading = cluster;
    const captured = this.#clusters.get(cluster) ?? headOf(cluster);
    // Kept while its nodes are read: it need not be captured again.
    this.#clusters.set(cluster, captured);
    return captured;
  }

  /** The links of a node as they were. */
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

/** Whether the cluster has been read when the other one is. */
function isBefore(cluster: Cluster, other: Cluster): boolean {
  if (cluster.dialect !== other.dialect) return dialectRank(cluster.dialect) < dialectRank(other.dialect);
  return compareClusters(cluster, other) < 0;
}

/**
 * The trees as they are when the first part is asked for. Each part is read when it is asked for, so that no turn of the event loop reads
 * more than is in one. All show one state: what is about to change and has not been read is copied first.
 * @throws ApiError INVALID_ARGUMENT: not an id or not a dialect
 */
export function treeParts(state: Trees, request: GetTreeRequest, revision: string): Iterable<GetTreeResponse> {
  return partsOf(state, { request, clusters: [...clustersOf(state, request.dialect, request.clusterId)], revision });
}

/** Contents of the part so far. */
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

  /** The next parts are of this cluster. */
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

  /** A link of the node that was begun last: goes on in this part if the one before was taken. */
  addLink(link: LinkTree, bytes: number): void {
    if (this.isEmpty) this.beginNode({ node: this.#node?.node, links: [] }, NODE_AGAIN_BYTES);
    this.#node?.links.push(link);
    this.#bytes += bytes;
  }

  /** Takes what there is, and begins anew: what is left of the cluster and the node goes on there. */
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
        // At least once, also without relays.
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
  // An empty tree has a revision, too.
  if (!part.isEmpty || clusters.length === 0) yield part.take(revision);
}
