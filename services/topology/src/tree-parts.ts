import type { ClusterTree, GetTreeRequest, GetTreeResponse, NodeTree } from '@spanmesh/proto/v1/topology';
import type { Cluster as ProtoCluster } from '@spanmesh/proto/v1/types';
import type { Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import { linkBytes, nodeBytes } from './keys.ts';
import { clustersOf } from './lists.ts';
import { showCluster, showNode } from './show-cluster.ts';
import { type LinkMoment, momentOf, relaysOf, showLink, showTarget } from './show-link.ts';
import type { Trees } from './trees.ts';

/** Bytes (estimated) after which a part is complete; a node is never divided. */
const PART_BYTES = 512 * 1024;
/** Encoded size of a relay target, estimated. */
const TARGET_BYTES = 200;

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

function* partsOf(captured: readonly CapturedCluster[], revision: string): Iterable<GetTreeResponse> {
  let clusters: ClusterTree[] = [];
  let bytes = 0;
  for (const { cluster, nodes } of captured) {
    let shown: NodeTree[] = [];
    clusters.push({ cluster, nodes: shown });
    for (const { node, links } of nodes) {
      const showing = links.map(({ link }) => link);
      shown.push({
        node: showNode(node, showing),
        links: links.map(({ link, moment, relays }) => ({
          link: showLink(link, moment),
          relays: relays.map(showTarget),
        })),
      });
      bytes += nodeBytes(node);
      for (const { link, relays } of links) bytes += linkBytes(link) + TARGET_BYTES * relays.length;
      if (bytes < PART_BYTES) continue;
      yield { clusters, revision };
      shown = [];
      clusters = [{ cluster, nodes: shown }];
      bytes = 0;
    }
    if (shown.length === 0) clusters.pop();
  }
  // An empty tree has a revision, too.
  if (clusters.length > 0 || captured.length === 0) yield { clusters, revision };
}
