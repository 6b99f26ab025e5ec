import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Distribution } from '@spanmesh/runtime/distribution';

/** One routed transaction in 64 is measured, beginning with the first. */
export const SAMPLED_TRANSACTIONS = 64;
/** Measured transactions that may be open at a time; further ones are not measured. */
const MAX_SAMPLED = 1024;

/** Measures how long a sample of the routed transactions lasts. Transactions that are lost are not counted. */
export class RoutedSample {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #seconds: Distribution;
  /** When each measured transaction began, milliseconds of the monotonic clock. */
  readonly #open = new Map<Transaction, number>();

  constructor({ clock, seconds }: { readonly clock: Pick<Clock, 'now'>; readonly seconds: Distribution }) {
    this.#clock = clock;
    this.#seconds = seconds;
  }

  /** Number of measured transactions that are open. */
  get size(): number {
    return this.#open.size;
  }

  begun(tx: Transaction): void {
    if (this.#open.size < MAX_SAMPLED) this.#open.set(tx, this.#clock.now());
  }

  /** Both directions of a transaction have ended. Does nothing if it is not measured. */
  ended(tx: Transaction): void {
    if (this.#open.size === 0) return;
    const began = this.#open.get(tx);
    if (began === undefined) return;
    this.#open.delete(tx);
    this.#seconds.observe((this.#clock.now() - began) / 1000);
  }

  /** The transaction was lost with its connection or its circuit. */
  lost(tx: Transaction): void {
    if (this.#open.size > 0) this.#open.delete(tx);
  }
}
