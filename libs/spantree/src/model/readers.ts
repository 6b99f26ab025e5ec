import type { Cluster, Node } from './parts.ts';

/** Goes through the tree slowly, and copies a part that it has not read yet when that is about to change. */
export interface Reader {
  /**
   * The node or its relays are about to change; `node` undefined: the cluster is about to get a new node. Called before
   * every such change; must not change the tree.
   */
  changing(cluster: Cluster, node: Node | undefined): void;
}

/**
 * The readers that go through the tree at the moment. Without any, a change costs one comparison more. Made by SpanTree
 * only.
 */
export class Readers {
  readonly #all = new Set<Reader>();

  add(reader: Reader): void {
    this.#all.add(reader);
  }

  remove(reader: Reader): void {
    this.#all.delete(reader);
  }

  changing(cluster: Cluster, node: Node | undefined): void {
    if (this.#all.size === 0) return;
    for (const reader of this.#all) reader.changing(cluster, node);
  }
}
