import type { Connection } from './connection.ts';
import type { DialectTables } from './dialect-tables.ts';
import type { FilterClass } from './filter-class.ts';
import type { Link } from './link.ts';
import type { Node } from './node.ts';
import { findCell } from './row.ts';
import type { LnkConnFilter } from './span.ts';

/** A request for spans on a connection (LNK_CONN). Made and changed by SpanTree only. */
export class LnkConn {
  readonly connection: Connection;
  readonly id: number;
  readonly filter: LnkConnFilter;
  /** The caller's own. */
  data: unknown = undefined;
  /** Relays open on it. */
  relayCount = 0;
  removed = false;
  /** @internal Number within its dialect, reused: its column in every node's row. */
  readonly slot: number;
  /** @internal */
  readonly filterClass: FilterClass;
  readonly #tables: DialectTables;

  constructor(
    connection: Connection,
    id: number,
    filter: LnkConnFilter,
    place: { readonly slot: number; readonly filterClass: FilterClass; readonly tables: DialectTables },
  ) {
    this.connection = connection;
    this.id = id;
    this.filter = filter;
    this.slot = place.slot;
    this.filterClass = place.filterClass;
    this.#tables = place.tables;
  }

  /** Whether the link is relayed on it. */
  has(link: Link): boolean {
    return !this.removed && link.node.cluster.tables === this.#tables && findCell(link.node, this.slot, link.ref) >= 0;
  }

  /** The links of a node that are relayed on it, in no particular order. */
  relaysOf({ cluster, row, rowWidth }: Node): Link[] {
    const links: Link[] = [];
    if (this.removed || cluster.tables !== this.#tables) return links;
    const end = Math.min((this.slot + 1) * rowWidth, row.length);
    for (let at = this.slot * rowWidth; at < end; at++) if (row[at]! > 0) links.push(this.#tables.link(row[at]!));
    return links;
  }

  /** The links that are relayed on it, in no particular order. Takes time in the number of nodes; the tree must not change meanwhile. */
  *relays(): Iterable<Link> {
    let left = this.relayCount;
    for (const node of this.#tables.nodes) {
      if (left === 0) return;
      const { row, rowWidth } = node;
      const end = Math.min((this.slot + 1) * rowWidth, row.length);
      for (let at = this.slot * rowWidth; at < end; at++) {
        if (row[at]! > 0) {
          left--;
          yield this.#tables.link(row[at]!);
        }
      }
    }
  }
}
