import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Distribution } from '@spanmesh/runtime/distribution';

/** One routed transaction in so many is measured, the first included. */
export const SAMPLED_TRANSACTIONS = 64;
/** Measured transactions that may be open at a time; further ones are not measured. */
const MAX_SAMPLED = 1024;

/** Some of the routed transactions, while they are open: how long they last. One that is lost is not counted. */
export class RoutedSample {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #seconds: Distribution;
  /** When each began, ms. */
  readonly #open = new Map<Transaction, number>();

  constructor({ clock, seconds }: { readonly clock: Pick<Clock, 'now'>; readonly seconds: Distribution }) {
    this.#clock = clock;
    this.#seconds = seconds;
  }

  /** Those that are open. */
  get size(): number {
    return this.#open.size;
  }

  begun(tx: Transaction): void {
    if (this.#open.size < MAX_SAMPLED) this.#open.set(tx, this.#clock.now());
  }

  /** Both directions of it have ended; harmless if it is not measured. */
  ended(tx: Transaction): void {
    if (this.#open.size === 0) return;
    const began = this.#open.get(tx);
    if (began === undefined) return;
    this.#open.delete(tx);
    this.#seconds.observe((this.#clock.now() - began) / 1000);
  }

  /** Its link, or what it was stacked on, has gone. */
  lost(tx: Transaction): void {
    if (this.#open.size > 0) this.#open.delete(tx);
  }
}
