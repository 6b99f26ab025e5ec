import { ABORT, DELETE, LNK_ERROR } from '../command.ts';
import { ErrorCode } from '../error-code.ts';
import { closeSilently, Failures, tellLost } from './final-notices.ts';
import { type LastMessage, OwnLastMessage } from './last-message.ts';
import { SharedEndings } from './shared-endings.ts';
import { CUT, ENDED, ENDING, type EndingJob, GONE, type Transaction, TX_DELETED } from './transaction.ts';
import { firstUnswept, type TransactionTable } from './transaction-table.ts';
import type { TransactionWriter } from './transaction-writer.ts';

/** Transactions that end between two `yield`s. */
export const ENDED_AT_ONCE = 64;

export interface StackedEndsOptions {
  /**
   * Transactions that end with what they are stacked on, or with the link, between two `yield`s of what is done in
   * slices; default: ENDED_AT_ONCE.
   */
  readonly endedAtOnce?: number;
}

export interface StackedEndsDependencies {
  readonly endpoint: { readonly isLost: boolean };
  readonly table: TransactionTable;
  readonly writer: TransactionWriter;
  readonly inSlices: (job: EndingJob) => void;
}

/**
 * The ends of transactions of one endpoint, and of what is stacked on them (protocol.md, "stacking"), which may be a
 * hundred thousand. Two things end what is stacked on something:
 *
 * * our DELETE of it (ENDING): an end is sent for each that is stacked on it, leaves first, and the DELETE last. Until
 *   then nothing is sent on it, and what the peer opens on it is refused at once. Ends that were sent stand at the end
 *   of their list (SWEPT), until the peer's answer;
 * * its end in both directions (GONE): each that is stacked on it is told, leaves first, and it last. Until then
 *   nothing of it is found, and the peer may use its msgids again.
 *
 * It is done in slices, of which some may go on side by side, or one within another.
 */
export class StackedEnds extends SharedEndings {
  readonly inSlices: (job: EndingJob) => void;
  readonly #atOnce: number;
  readonly #endpoint: StackedEndsDependencies['endpoint'];
  readonly #table: TransactionTable;
  readonly #writer: TransactionWriter;
  /** Our last messages in those that are ENDING. Made for the first. */
  #lasts: Map<Transaction, LastMessage> | null = null;

  constructor(
    { endedAtOnce = ENDED_AT_ONCE }: StackedEndsOptions,
    { endpoint, table, writer, inSlices }: StackedEndsDependencies,
  ) {
    super();
    this.#atOnce = endedAtOnce;
    this.#endpoint = endpoint;
    this.#table = table;
    this.#writer = writer;
    this.inSlices = inSlices;
  }

  /** Our last message in `tx`, which something is stacked on. */
  end(tx: Transaction, last: LastMessage): void {
    tx.state |= ENDING;
    this.inSlices(this.begin(this.#ending(tx, this.#due(tx, last))));
    // It may have gone out, and the rest of that not be done.
    if ((tx.state & (ENDING | TX_DELETED)) === ENDING) last.hold();
  }

  /**
   * The same with a bare one. What is left to be done for it; null: nothing. `isCut`: the handlers of what is stacked
   * on it are told.
   */
  endBare(tx: Transaction, error: number, abort: boolean, isCut: boolean): EndingJob | null {
    const cmd = (abort ? LNK_ERROR | DELETE | ABORT : LNK_ERROR | DELETE) >>> 0;
    if (tx.firstChild === null) {
      this.#writer.write(tx, cmd, error, null, null);
      this.close(tx);
      return null;
    }
    tx.state |= isCut ? ENDING | CUT : ENDING;
    const last = new OwnLastMessage(this.#writer, tx, cmd, error, null, null);
    return this.begin(this.#ending(tx, this.#due(tx, last)));
  }

  /** The end of one that is stacked on something that ends; what is stacked on it in its turn has ended. */
  abort(tx: Transaction): void {
    // First: what cannot be written is not tried again and again.
    this.#table.sweep(tx);
    this.#writer.write(tx, (LNK_ERROR | DELETE | ABORT) >>> 0, ErrorCode.LOSTLINK, null, null);
    this.close(tx);
  }

  /** Closes our direction of `tx`, and of all that is stacked on it, without a message. */
  abandon(tx: Transaction): void {
    const ended = tx.firstChild === null ? [] : this.#table.leavesFirst(tx).filter(closeSilently);
    closeSilently(tx);
    for (const child of ended) this.finish(child);
    this.finish(tx);
  }

  /** Our last message in `tx` is sent. */
  close(tx: Transaction): void {
    closeSilently(tx);
    this.finish(tx);
  }

  /**
   * Takes `tx`, if deleted in both directions, and all that is stacked on it out of the table, and tells the handlers.
   */
  finish(tx: Transaction): void {
    if ((tx.state & (ENDED | GONE)) !== ENDED) return;
    this.#table.remove(tx);
    if (tx.firstChild === null) tx.handler.onGone?.(tx);
    else this.inSlices(this.begin(this.#telling(tx, ErrorCode.LOSTLINK)));
  }

  /** The link is lost: all that is open ends with `error`, without a message. */
  losing(error: number): EndingJob {
    return this.#telling(null, error);
  }

  /** The peer has said something in what is below a cut: its end, as a loss. False: anything else goes nowhere. */
  heardBelowCut(tx: Transaction, cmd: number): boolean {
    if ((cmd & DELETE) === 0) return false;
    tx.handler.onLost(tx, ErrorCode.LOSTLINK);
    this.finish(tx);
    return true;
  }

  /** Nothing can be opened or sent on it. */
  takesNothing(circuit: Transaction): boolean {
    return (circuit.state & ENDING) !== 0 || circuit.ended || this.isBelowEnding(circuit);
  }

  /**
   * Something that it is stacked on, at any depth, is going to end, or gone: nothing is sent in it, or opened on it.
   */
  isBelowEnding(tx: Transaction): boolean {
    return this.size !== 0 && hasAbove(tx, ENDING | GONE);
  }

  /** It, or something that it is stacked on, is cut: nothing that the peer says on it is taken. */
  isCut(circuit: Transaction): boolean {
    return this.size !== 0 && ((circuit.state & CUT) !== 0 || hasAbove(circuit, CUT));
  }

  /** Something that it is stacked on is cut: nothing that the peer says in it is taken. */
  isBelowCut(tx: Transaction): boolean {
    return this.size !== 0 && hasAbove(tx, CUT);
  }

  /** What is gone with what it was stacked on is not there for anybody, told or not. */
  unlessGone(tx: Transaction | undefined): Transaction | undefined {
    return this.size !== 0 && tx !== undefined && hasAbove(tx, GONE) ? undefined : tx;
  }

  *#ending(tx: Transaction, last: LastMessage): EndingJob {
    const failures = new Failures();
    let units = 0;
    for (let child = firstUnswept(tx); child !== null && this.#isDue(tx); child = firstUnswept(tx)) {
      this.#endStacked(child, (tx.state & CUT) !== 0, failures);
      if (++units < this.#atOnce) continue;
      yield units;
      units = 0;
    }
    if (units > 0) yield units;
    const isDue = this.#isDue(tx);
    tx.state &= ~(ENDING | CUT);
    this.#lasts?.delete(tx);
    if (isDue) {
      last.write();
      this.close(tx);
    } else {
      last.drop();
    }
    failures.throwFirst();
  }

  /**
   * Our end of it is still to be sent: it has not ended meanwhile with what it is stacked on, or with the link, which
   * see to what is left.
   */
  #isDue(tx: Transaction): boolean {
    return (tx.state & TX_DELETED) === 0 && !tx.ended;
  }

  #endStacked(tx: Transaction, isCut: boolean, failures: Failures): void {
    try {
      if (isCut) tx.handler.onCircuitClosing?.(tx);
    } catch (thrown) {
      failures.note(thrown);
    }
    if (this.#endpoint.isLost || (tx.state & GONE) !== 0) return;
    if ((tx.state & TX_DELETED) !== 0) {
      // The peer's end is due.
      this.#table.sweep(tx);
      return;
    }
    try {
      const last = this.#lasts?.get(tx);
      // What is stacked on it has ended: what we have said last in it, before this, is not to be lost.
      if (last === undefined) this.abort(tx);
      else this.#endWith(tx, last);
    } catch (thrown) {
      failures.note(thrown);
    }
  }

  #endWith(tx: Transaction, last: LastMessage): void {
    this.#table.sweep(tx);
    last.write();
    this.close(tx);
  }

  #due(tx: Transaction, last: LastMessage): LastMessage {
    this.#lasts ??= new Map();
    this.#lasts.set(tx, last);
    return last;
  }

  /**
   * Takes all that is stacked on `top` (null: all that is open) out of the table and tells it, leaves first; `top`
   * itself, which is out already, last.
   */
  *#telling(top: Transaction | null, error: number): EndingJob {
    const failures = new Failures();
    let units = 0;
    for (let tx = this.#table.lowest(top); tx !== null && tx !== top; tx = this.#table.lowest(top)) {
      this.#table.remove(tx);
      tellLost(tx, error, failures);
      if (++units < this.#atOnce) continue;
      yield units;
      units = 0;
    }
    if (units > 0) yield units;
    if (top !== null) tellLost(top, error, failures);
    failures.throwFirst();
  }
}

function hasAbove({ circuit }: Transaction, bits: number): boolean {
  for (let at = circuit; at !== null; at = at.circuit) if ((at.state & bits) !== 0) return true;
  return false;
}
