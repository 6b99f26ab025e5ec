import { IdMap } from './id-map.ts';
import { GONE, type Transaction } from './transaction.ts';

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
    return this.#ownCount + this.#peers.size;
  }

  /** Number of transactions that the peer opened. */
  get peerCount(): number {
    return this.#peers.size;
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
    return (this.#freeSlots.at(-1) ?? this.#slots.length) + 1;
  }

  get nextHi(): number {
    return (this.#generation + 1) >>> 0;
  }

  /** Puts in a transaction that is not there. If it is ours it must have been made with `nextLo` and `nextHi`. */
  add(tx: Transaction): void {
    this.added++;
    if (tx.openedByPeer) {
      this.#peers.insert(tx.msgidLo, tx.msgidHi, tx);
    } else {
      this.#generation = tx.msgidHi;
      this.#slots[this.#freeSlots.pop() ?? this.#slots.length] = tx;
      this.#ownCount++;
    }
    const circuit = tx.circuit;
    const next = circuit === null ? this.#firstRoot : circuit.firstChild;
    tx.nextSibling = next;
    if (next !== null) next.prevSibling = tx;
    if (circuit === null) this.#firstRoot = tx;
    else circuit.firstChild = tx;
  }

  /** Takes one transaction out and marks it GONE. Everything stacked on it must have been taken out before. */
  remove(tx: Transaction): void {
    tx.state |= GONE;
    if (tx.openedByPeer) {
      this.#peers.delete(tx.msgidLo, tx.msgidHi);
    } else {
      const slot = tx.msgidLo - 1;
      this.#slots[slot] = null;
      this.#freeSlots.push(slot);
      this.#ownCount--;
      // Generations are counted for the whole table, so empty slots need not be kept.
      if (this.#ownCount === 0) {
        this.#slots = [];
        this.#freeSlots = [];
      }
    }
    const { prevSibling, nextSibling } = tx;
    if (prevSibling !== null) prevSibling.nextSibling = nextSibling;
    else if (tx.circuit === null) this.#firstRoot = nextSibling;
    else tx.circuit.firstChild = nextSibling;
    if (nextSibling !== null) nextSibling.prevSibling = prevSibling;
    tx.nextSibling = null;
    tx.prevSibling = null;
  }

  /** The first of `leavesFirst(null)`; null: the table is empty. */
  firstLeaf(): Transaction | null {
    return this.#firstRoot === null ? null : lowest(this.#firstRoot);
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

function lowest(tx: Transaction): Transaction {
  let at = tx;
  while (at.firstChild !== null) at = at.firstChild;
  return at;
}
