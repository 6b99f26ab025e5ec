import { canonicalClusterKey, clusterKeyFault, clusterKeyText } from '@spanmesh/proto/cluster-key';
import type { TreeChange } from '@spanmesh/proto/v1/replication';
import type { ClusterKey as ProtoClusterKey } from '@spanmesh/proto/v1/types';
import type { Cluster, SpanTree } from '@spanmesh/spantree/tree';
import type { Gateway } from './gateway.ts';
import { showClusterKey, treeClusterKey } from './show-ids.ts';
import type { TreesEvent } from './tree-events.ts';

/** Clusters that the clients of one gateway may hold: more than a gateway accepts handles. */
export const MAX_HELD_CLUSTERS = 200_000;

export interface ClusterHoldsDependencies {
  readonly tell: (event: TreesEvent) => void;
  readonly journal: (gateway: Gateway, change: Pick<Partial<TreeChange>, 'clusterHeld' | 'clusterReleased'>) => void;
}

/**
 * Clusters that clients hold through their gateways. They stay known without nodes until they are released or their
 * gateway is removed.
 */
export class ClusterHolds {
  readonly #tree: SpanTree;
  readonly #deps: ClusterHoldsDependencies;

  constructor(tree: SpanTree, deps: ClusterHoldsDependencies) {
    this.#tree = tree;
    this.#deps = deps;
  }

  hold(gateway: Gateway, held: ProtoClusterKey): void {
    if (clusterKeyFault(held) !== null || gateway.held.size >= MAX_HELD_CLUSTERS) {
      const data = { cluster: held.id, held: gateway.held.size };
      this.#deps.tell({ of: 'nonsense', gateway, what: 'cluster hold', data });
      return;
    }
    const key = canonicalClusterKey(held);
    const text = clusterKeyText(key);
    if (gateway.held.has(text)) return;
    const treeKey = treeClusterKey(key);
    const known = this.#tree.findCluster(treeKey) !== undefined;
    const cluster = this.#tree.holdCluster(treeKey);
    gateway.held.set(text, cluster);
    this.#deps.journal(gateway, { clusterHeld: key });
    if (!known) this.#deps.tell({ of: 'cluster', kind: 'added', object: cluster });
  }

  release(gateway: Gateway, released: ProtoClusterKey): void {
    if (clusterKeyFault(released) === null) this.#drop(gateway, canonicalClusterKey(released));
  }

  /** Replaces the gateway's held clusters by these. */
  replace(gateway: Gateway, all: readonly ProtoClusterKey[]): void {
    const held = new Set(all.map((key) => clusterKeyText(canonicalClusterKey(key))));
    for (const [text, cluster] of [...gateway.held]) if (!held.has(text)) this.#drop(gateway, showClusterKey(cluster));
    for (const key of all) this.hold(gateway, key);
  }

  /** Releases all clusters of a removed gateway. The journal needs no entries: the removal implies them. */
  dropAll(gateway: Gateway): void {
    for (const cluster of gateway.held.values()) this.#release(cluster);
    gateway.held.clear();
  }

  #drop(gateway: Gateway, key: ProtoClusterKey): void {
    const text = clusterKeyText(key);
    const cluster = gateway.held.get(text);
    if (cluster === undefined) return;
    gateway.held.delete(text);
    this.#deps.journal(gateway, { clusterReleased: key });
    this.#release(cluster);
  }

  #release(cluster: Cluster): void {
    this.#tree.releaseCluster(cluster);
    if (cluster.nodeCount > 0 || cluster.holds > 0) return;
    this.#deps.tell({ of: 'cluster', kind: 'removed', object: cluster });
  }
}
