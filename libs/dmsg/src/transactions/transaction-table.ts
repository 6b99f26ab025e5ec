import { IdMap } from './id-map.ts';
import { GONE, SWEPT, type Transaction, UNLISTED } from './transaction.ts';

/**
 * The open transactions of one connection. They are found by msgid in two separate spaces (ours and the peer's:
 * protocol.md, "Transactions": keyed per connection and opener), and linked into a tree by what they are stacked on.
 * Our msgids are (slot + 1, generation): a lookup is an array access, they are never 0, and none is used again before
 * 2^32 others were.
 */
export class TransactionTable {
  /** How many transactions were ever put into the table. */
  added = 0;
  readonly #peers = new IdMap<Transaction>();
  #slots: (Transaction | null)[] = [];
  #freeSlots: number[] = [];
  #ownCount = 0;
  /** Transactions that are UNLISTED and still to be told. */
  #unlisted = 0;
  #generation: number;
  /** First of the linked list of transactions that run on the link itself. */
  #firstRoot: Transaction | null = null;

  /**
   * `generation`: the first generation, an unsigned 32-bit number. With a random one, msgids differ from those of other
   * connections.
   */
  constructor(generation = 0) {
    this.#generation = generation;
  }

  /** Number of transactions in the table. */
  get size(): number {
    return this.#ownCount + this.peerCount;
  }

  /** Number of transactions that the peer opened, the UNLISTED ones included: they take memory until they are told. */
  get peerCount(): number {
    return this.#peers.size + this.#unlisted;
  }

  /** A transaction that we opened, by its msgid. */
  findOwn(lo: number, hi: number): Transaction | undefined {
    if (lo > this.#slots.length || lo === 0) return undefined;
    const tx = this.#slots[lo - 1];
    return tx != null && tx.msgidHi === hi ? tx : undefined;
  }

  /** A transaction that the peer opened, by its msgid. */
  findPeers(lo: number, hi: number): Transaction | undefined {
    return this.#peers.find(lo, hi);
  }

  /** Low half of the msgid of the next transaction that we open; `nextHi` is its high half. `add` uses them up. */
  get nextLo(): number {
    const free = this.#freeSlots;
    return (free.length === 0 ? this.#slots.length : (free[free.length - 1] ?? 0)) + 1;
  }

  get nextHi(): number {
    return (this.#generation + 1) >>> 0;
  }

  /**
   * Put in a transaction that is not there; one of ours must have been made with `nextLo` and `nextHi`. Whatever it is
   * stacked on is not SWEPT then, unless it is going to be at once itself.
   */
  add(tx: Transaction, isSwept = false): void {
    this.added++;
    if (tx.openedByPeer) {
      this.#peers.insert(tx.msgidLo, tx.msgidHi, tx);
    } else {
      this.#generation = tx.msgidHi;
      this.#slots[this.#freeSlots.pop() ?? this.#slots.length] = tx;
      this.#ownCount++;
    }
    const { circuit } = tx;
    if (!isSwept && circuit !== null && (circuit.state & SWEPT) !== 0) this.#unsweep(circuit);
    this.#linkFirst(tx);
  }

  /**
   * Take out one transaction and mark it GONE. What is stacked on it stays below it, and in the table, but is not found
   * from above any more: each of it is to be taken out as well.
   */
  remove(tx: Transaction): void {
    tx.state |= GONE;
    if (!tx.openedByPeer) this.#freeSlot(tx.msgidLo - 1);
    else if ((tx.state & UNLISTED) === 0) this.#peers.delete(tx.msgidLo, tx.msgidHi);
    else this.#unlisted--;
    this.#unlink(tx);
    tx.nextSibling = null;
    tx.prevSibling = null;
  }

  /** The peer's msgid of a transaction that is not told yet that it is gone is free for another one. */
  unlist(tx: Transaction): void {
    tx.state |= UNLISTED;
    this.#unlisted++;
    this.#peers.delete(tx.msgidLo, tx.msgidHi);
  }

  /** Puts one that is stacked on something behind all others that are, marked SWEPT. */
  sweep(tx: Transaction): void {
    tx.state |= SWEPT;
    if (tx.nextSibling === null) return;
    const { circuit } = tx;
    this.#unlink(tx);
    const first = circuit === null ? this.#firstRoot : circuit.firstChild;
    // Another one is there: the one that was next.
    const last = first?.prevSibling ?? null;
    tx.prevSibling = last;
    tx.nextSibling = null;
    if (last !== null) last.nextSibling = tx;
    if (first !== null) first.prevSibling = tx;
  }

  #unsweep(tx: Transaction): void {
    for (let at: Transaction | null = tx; at !== null && (at.state & SWEPT) !== 0; at = at.circuit) {
      at.state &= ~SWEPT;
      this.#unlink(at);
      this.#linkFirst(at);
    }
  }

  #linkFirst(tx: Transaction): void {
    const { circuit } = tx;
    const next = circuit === null ? this.#firstRoot : circuit.firstChild;
    tx.nextSibling = next;
    if (next === null) {
      tx.prevSibling = tx;
    } else {
      tx.prevSibling = next.prevSibling;
      next.prevSibling = tx;
    }
    this.#setFirst(circuit, tx);
  }

  #freeSlot(slot: number): void {
    this.#slots[slot] = null;
    this.#freeSlots.push(slot);
    this.#ownCount--;
    // Generations are counted for the whole table, so the slots may go when nothing is in them.
    if (this.#ownCount === 0) {
      this.#slots = [];
      this.#freeSlots = [];
    }
  }

  /** Takes it off its list; its own links stay as they are. */
  #unlink({ circuit, prevSibling, nextSibling }: Transaction): void {
    // What stands before the first one is the last one, which nothing follows.
    if (prevSibling === null || prevSibling.nextSibling === null) this.#setFirst(circuit, nextSibling);
    else prevSibling.nextSibling = nextSibling;
    if (nextSibling !== null) nextSibling.prevSibling = prevSibling;
    else this.#setLast(circuit, prevSibling);
  }

  #setFirst(circuit: Transaction | null, first: Transaction | null): void {
    if (circuit === null) this.#firstRoot = first;
    else circuit.firstChild = first;
  }

  #setLast(circuit: Transaction | null, last: Transaction | null): void {
    const first = circuit === null ? this.#firstRoot : circuit.firstChild;
    if (first !== null) first.prevSibling = last;
  }

  /** The first of `leavesFirst(top)`; `top`: nothing is stacked on it (null: the table is empty). */
  lowest(top: Transaction | null): Transaction | null {
    const from = top ?? this.#firstRoot;
    return from === null ? null : lowest(from);
  }

  /**
   * Everything stacked on `top` (null: everything in the table), leaves first, without `top` itself. Iterative, so
   * depth does not matter.
   */
  leavesFirst(top: Transaction | null): Transaction[] {
    const found: Transaction[] = [];
    const first = top === null ? this.#firstRoot : top.firstChild;
    if (first === null) return found;
    let at = lowest(first);
    for (;;) {
      found.push(at);
      if (at.nextSibling !== null) at = lowest(at.nextSibling);
      else if (at.circuit === top) return found;
      else at = at.circuit!;
    }
  }
}

/** The first leaf below it, or itself. */
function lowest(tx: Transaction): Transaction {
  let at = tx;
  while (at.firstChild !== null) at = at.firstChild;
  return at;
}

/** The first of what is stacked on it, leaves first, that is not SWEPT; null: all is. */
export function firstUnswept(top: Transaction): Transaction | null {
  let at = top;
  for (let child = at.firstChild; child !== null && (child.state & SWEPT) === 0; child = at.firstChild) at = child;
  return at === top ? null : at;
}
