import { RX_DELETED, type Transaction, TX_CREATED, TX_DELETED } from './transaction.ts';

/** Marks our direction as deleted; true if that makes it over. */
export function closeSilently(tx: Transaction): boolean {
  tx.state |= TX_CREATED | TX_DELETED;
  return (tx.state & RX_DELETED) !== 0;
}

/**
 * The final notification of one that is out of the table; an exception does not keep others from theirs, nor itself
 * from being gone.
 */
export function tellLost(tx: Transaction, error: number, failures: Failures): void {
  try {
    if ((tx.state & RX_DELETED) === 0) tx.handler.onLost(tx, error);
  } catch (thrown) {
    failures.note(thrown);
  }
  try {
    tx.handler.onGone?.(tx);
  } catch (thrown) {
    failures.note(thrown);
  }
}

/** What handlers have thrown, of which the first is thrown when all have been told. */
export class Failures {
  #first: { readonly thrown: unknown } | null = null;

  note(thrown: unknown): void {
    this.#first ??= { thrown };
  }

  throwFirst(): void {
    if (this.#first !== null) throw this.#first.thrown;
  }
}
