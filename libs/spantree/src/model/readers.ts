import type { Cluster, Node } from './parts.ts';

/** Goes through the tree slowly, and takes a copy of what is about to change and has not been read. */
export interface Reader {
  /**
   * The node, or its relays, are about to change, or the cluster is about to have one more (undefined). Called as often as that is so,
   * before it is; must change nothing.
   */
  changing(cluster: Cluster, node: Node | undefined): void;
}

/** Those who go through the tree at the moment. Costs a comparison for each change while there are none. Made by SpanTree only. */
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
