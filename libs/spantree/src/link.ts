import type { Connection } from './connection.ts';
import type { LnkConn } from './lnk-conn.ts';
import type { Node } from './node.ts';
import type { SpanKey } from './span.ts';

/** A LNK_SPAN received. Made and changed by SpanTree only. */
export class Link {
  readonly connection: Connection;
  readonly id: number;
  readonly span: SpanKey;
  readonly node: Node;
  /** The caller's own. */
  data: unknown = undefined;
  /** Relays of it that are open. */
  relayCount = 0;
  removed = false;
  /** As the dialect compares it: linkid signed, a negative one is 0; circuit unsigned (architecture.md, "Relay selection"). */
  readonly dist: number;
  /** As the dialect compares it: circuit unsigned, linkid always 0. */
  readonly rnss: number;
  /** @internal What stands for it in its node's row: > 0, reused after it is gone. */
  readonly ref: number;

  constructor(connection: Connection, id: number, span: SpanKey, node: Node, ref: number) {
    this.connection = connection;
    this.id = id;
    this.span = span;
    this.node = node;
    this.ref = ref;
    this.dist = span.dialect === 'linkid' ? Math.max(0, span.dist | 0) : span.dist >>> 0;
    this.rnss = span.dialect === 'linkid' ? 0 : span.rnss >>> 0;
  }

  /** The LNK_CONNs that it is relayed on. The tree must not change meanwhile. */
  get relays(): Iterable<LnkConn> {
    return this.#relays();
  }

  /** The LNK_CONNs whose peers have refused it. Takes time in the number of LNK_CONNs; the tree must not change meanwhile. */
  *refusals(): Iterable<LnkConn> {
    const { row, rowWidth, cluster } = this.node;
    for (let at = 0; at < row.length; at++) {
      if (row[at] === -this.ref) yield cluster.tables.lnkConn(Math.floor(at / rowWidth));
    }
  }

  *#relays(): Iterable<LnkConn> {
    let left = this.relayCount;
    const { row, rowWidth, cluster } = this.node;
    for (let at = 0; left > 0 && at < row.length; at++) {
      if (row[at] === this.ref) {
        left--;
        yield cluster.tables.lnkConn(Math.floor(at / rowWidth));
      }
    }
  }
}
