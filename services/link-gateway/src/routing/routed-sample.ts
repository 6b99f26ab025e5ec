import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Distribution } from '@spanmesh/runtime/distribution';

/** One routed transaction in 64 is measured, beginning with the first. */
export const SAMPLED_TRANSACTIONS = 64;
/** Measured transactions that may be open at a time; further ones are not measured. */
const MAX_SAMPLED = 1024;
/** Marks by which most transactions are known not to be measured, without a look into the map. A power of two. */
const MARKS = 1024;

/** Measures how long a sample of the routed transactions lasts. Transactions that are lost are not counted. */
export class RoutedSample {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #seconds: Distribution;
  /** When each measured transaction began, milliseconds of the monotonic clock. */
  readonly #open = new Map<Transaction, number>();
  /** How many measured transactions have a msgid that ends in these bits. */
  readonly #marks = new Uint16Array(MARKS);

  constructor({ clock, seconds }: { readonly clock: Pick<Clock, 'now'>; readonly seconds: Distribution }) {
    this.#clock = clock;
    this.#seconds = seconds;
  }

  /** Number of measured transactions that are open. */
  get size(): number {
    return this.#open.size;
  }

  begun(tx: Transaction): void {
    if (this.#open.size >= MAX_SAMPLED) return;
    this.#open.set(tx, this.#clock.now());
    this.#mark(tx, 1);
  }

  /** Both directions of a transaction have ended. Does nothing if it is not measured. */
  ended(tx: Transaction): void {
    if (!this.#isMarked(tx)) return;
    const began = this.#open.get(tx);
    if (began === undefined) return;
    this.lost(tx);
    this.#seconds.observe((this.#clock.now() - began) / 1000);
  }

  /** The transaction was lost with its connection or its circuit. */
  lost(tx: Transaction): void {
    if (this.#isMarked(tx) && this.#open.delete(tx)) this.#mark(tx, -1);
  }

  /** Whether the transaction may be measured. */
  #isMarked({ msgidLo }: Transaction): boolean {
    return this.#marks[msgidLo & (MARKS - 1)] !== 0;
  }

  #mark({ msgidLo }: Transaction, change: 1 | -1): void {
    const at = msgidLo & (MARKS - 1);
    this.#marks[at] = (this.#marks[at] ?? 0) + change;
  }
}
