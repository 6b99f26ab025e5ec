import type { DialectTables } from './model/dialect-tables.ts';
import type { FilterClass } from './model/filter-class.ts';
import type { Link, LnkConn, Node } from './model/parts.ts';
import { RelayBatch } from './relay-batch.ts';
import type { RelayDelta } from './relay-delta.ts';
import type { TreeWork } from './tree-work.ts';

/**
 * Compares the links that selection takes (architecture.md, "Relay selection") with those in the rows, updates the rows
 * and collects the differences as opens and closes.
 */
export class Selection {
  readonly opens: RelayBatch = new RelayBatch();
  readonly closes: RelayBatch = new RelayBatch();
  /** Pairs (node, LNK_CONN) that were looked at so far. */
  evaluations = 0;
  /** Links that walks looked at so far; one walk serves all LNK_CONNs of a filter class. */
  linkVisits = 0;
  /** The links that the last walk took: the first `#count` entries. The array is reused and may be longer. */
  readonly #taken: Link[] = [];
  #count = 0;

  /**
   * Writes out what has changed of one dialect since the last flush. `lnkConns`: those that are looked at, of this
   * dialect; those of a filter class follow each other. In pieces of about `pieceUnits`.
   */
  *flushing(
    tables: DialectTables,
    lnkConns: readonly LnkConn[],
    { out, pieceUnits }: { readonly out: RelayDelta; readonly pieceUnits: number },
  ): TreeWork {
    const { dirtyNodes, dirtyLnkConns } = tables;
    const open = (link: Link, lnkConn: LnkConn): void => out.open(link, lnkConn);
    const close = (link: Link, lnkConn: LnkConn): void => out.close(link, lnkConn);
    const evaluate = (node: Node, some: readonly LnkConn[]): void => {
      this.evaluate(tables, node, some);
      this.opens.drain(open);
      this.closes.drain(close);
    };
    let done = this.#workDone;
    // New LNK_CONNs meet all nodes. The loop goes node by node, so that the relays of one link on several of them come
    // together.
    if (dirtyLnkConns.size > 0) {
      const some = lnkConns.filter((lnkConn) => dirtyLnkConns.has(lnkConn));
      for (const node of tables.nodes) {
        if (!dirtyNodes.has(node)) evaluate(node, some);
        if (this.#workDone - done < pieceUnits) continue;
        yield this.#workDone - done;
        done = this.#workDone;
      }
    }
    for (const node of dirtyNodes) {
      evaluate(node, lnkConns);
      if (this.#workDone - done < pieceUnits) continue;
      yield this.#workDone - done;
      done = this.#workDone;
    }
    dirtyNodes.clear();
    dirtyLnkConns.clear();
  }

  /** Units of selection done so far. */
  get #workDone(): number {
    return this.evaluations + this.linkVisits;
  }

  /** `lnkConns`: of the node's dialect; those of a filter class follow each other. */
  evaluate(tables: DialectTables, node: Node, lnkConns: readonly LnkConn[]): void {
    let filterClass: FilterClass<LnkConn> | undefined;
    for (const lnkConn of lnkConns) {
      if (lnkConn.filterClass !== filterClass) {
        filterClass = lnkConn.filterClass;
        this.#walk(node, filterClass, tables.width);
      }
      this.evaluations++;
      // The usual case for a leaf: nothing of the node is taken now, and nothing was before.
      if (this.#count === 0 && node.row.length === 0) continue;
      // The walk for this LNK_CONN stops at the first link of its own connection; the walk for the whole class does
      // not.
      let take = 0;
      while (take < this.#count && this.#taken[take]?.connection !== lnkConn.connection) take++;
      if (this.#changed(node, lnkConn.slot, take)) this.#apply(tables, node, lnkConn, take);
    }
  }

  /** Drops the references that the working arrays still hold. */
  clear(): void {
    this.#taken.length = 0;
    this.#count = 0;
    this.opens.clear();
    this.closes.clear();
  }

  #walk(node: Node, filterClass: FilterClass<LnkConn>, width: number): void {
    let count = 0;
    for (const link of node.sortedLinks) {
      this.linkVisits++;
      if (filterClass.skips(link)) continue;
      if (filterClass.stopAt(link) !== undefined) break;
      this.#taken[count++] = link;
      if (count === width) break;
    }
    this.#count = count;
  }

  /** Whether the set of the first `take` links differs from the set in the cells, refused ones included. */
  #changed(node: Node, slot: number, take: number): boolean {
    const { row } = node;
    const begin = row.begin(slot);
    const end = row.end(slot, begin);
    let held = 0;
    for (let at = begin; at < end; at++) {
      const cell = row.at(at);
      if (cell === 0) continue;
      if (!this.#isTaken(Math.abs(cell), take)) return true;
      held++;
    }
    return held !== take;
  }

  #apply(tables: DialectTables, node: Node, lnkConn: LnkConn, take: number): void {
    tables.readers.changing(node.cluster, node);
    const { slot } = lnkConn;
    const { row } = node;
    const begin = row.begin(slot);
    const end = row.end(slot, begin);
    for (let at = begin; at < end; at++) {
      const cell = row.at(at);
      if (cell < 0) {
        // protocol.md, "The link layer" 4: when the selection changes, refused relays are offered again.
        row.set(at, 0);
        tables.refusals--;
      } else if (cell > 0 && !this.#isTaken(cell, take)) {
        row.set(at, 0);
        const link = tables.link(cell);
        link.relayCount--;
        lnkConn.relayCount--;
        tables.openRelays--;
        this.closes.add(link, lnkConn);
      }
    }
    for (let i = 0; i < take; i++) {
      const link = this.#taken[i];
      if (link === undefined || row.find(slot, link.ref) >= 0) continue;
      row.put(slot, link.ref, tables.slots);
      link.relayCount++;
      lnkConn.relayCount++;
      tables.openRelays++;
      this.opens.add(link, lnkConn);
    }
    row.trim();
  }

  #isTaken(ref: number, take: number): boolean {
    for (let i = 0; i < take; i++) if (this.#taken[i]?.ref === ref) return true;
    return false;
  }
}
