import type { ClusterTree, GetTreeRequest, GetTreeResponse, LinkTree, NodeTree } from '@spanmesh/proto/v1/topology';
import type { Cluster as ProtoCluster } from '@spanmesh/proto/v1/types';
import type { Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import { linkBytes, nodeBytes } from '../trees/keys.ts';
import type { Trees } from '../trees/trees.ts';
import { clustersOf } from './lists.ts';
import { showCluster, showNode } from './show-cluster.ts';
import { type LinkMoment, momentOf, relaysOf, showLink, showTarget } from './show-link.ts';

/** Bytes (estimated) after which a part is complete: with one link more, and its relays, it stays below 1 MiB. */
const PART_BYTES = 512 * 1024;
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
  readonly nodes: readonly { readonly node: Node; readonly links: readonly CapturedLink[] }[];
}

/**
 * The trees as they are now, in parts that are put into words one by one as they are asked for. What can change meanwhile is
 * captured here, so all parts show one state.
 * @throws ApiError INVALID_ARGUMENT: not an id or not a dialect
 */
export function treeParts(state: Trees, request: GetTreeRequest, revision: string): Iterable<GetTreeResponse> {
  const captured: CapturedCluster[] = [];
  for (const cluster of clustersOf(state, request.dialect, request.clusterId)) {
    const nodes = cluster.nodes().map((node) => ({
      node,
      links: node.links.map((link) => ({
        link,
        moment: momentOf(link),
        relays: request.withRelays ? relaysOf(link) : [],
      })),
    }));
    captured.push({ cluster: showCluster(cluster), nodes });
  }
  return partsOf(captured, revision);
}

/** What a part has so far. */
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

  /** What comes next is of this cluster. */
  beginCluster(cluster: ProtoCluster): void {
    this.#cluster = cluster;
    this.#node = undefined;
    this.#clusters.push({ cluster, nodes: [] });
  }

  beginNode(node: NodeTree, bytes: number): void {
    if (this.isEmpty) this.beginCluster(this.#cluster!);
    this.#node = node;
    this.#clusters.at(-1)!.nodes.push(node);
    this.#bytes += bytes;
  }

  /** A link of the node that was begun last: goes on in this part if the one before was taken. */
  addLink(link: LinkTree, bytes: number): void {
    const begun = this.#node!;
    if (this.isEmpty) this.beginNode({ node: begun.node, links: [] }, NODE_AGAIN_BYTES);
    this.#node!.links.push(link);
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

function* partsOf(captured: readonly CapturedCluster[], revision: string): Iterable<GetTreeResponse> {
  const part = new Part();
  for (const { cluster, nodes } of captured) {
    part.beginCluster(cluster);
    for (const { node, links } of nodes) {
      const showing = links.map(({ link }) => link);
      part.beginNode({ node: showNode(node, showing), links: [] }, nodeBytes(node));
      for (const { link, moment, relays } of links) {
        // At least once, also without relays.
        for (let at = 0; at === 0 || at < relays.length; at += MOST_TARGETS) {
          const targets = relays.slice(at, at + MOST_TARGETS);
          const bytes = linkBytes(link) + TARGET_BYTES * targets.length;
          part.addLink({ link: showLink(link, moment), relays: targets.map(showTarget) }, bytes);
          if (part.isFull) yield part.take(revision);
        }
      }
    }
  }
  // An empty tree has a revision, too.
  if (!part.isEmpty || captured.length === 0) yield part.take(revision);
}
