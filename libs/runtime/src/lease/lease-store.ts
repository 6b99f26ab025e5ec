import type { KeyValue, KvEntry, Subscription } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';

/** The content of the store under the role. */
export interface Stored {
  /** 0: the role has never had a value. */
  readonly revision: number;
  readonly record: LeaseRecord | null;
  /** The value is no lease record: on NATS, a user who may make requests can have the answer written here. */
  readonly isJunk: boolean;
}

/**
 * The record of a role in the store. An answer that takes longer than `answerMs` counts as none: for a write this means
 * an unknown outcome.
 */
export class LeaseStore {
  readonly #role: string;
  readonly #answerMs: number;
  readonly #kv: KeyValue;
  readonly #clock: Clock;

  constructor({ role, answerMs }: { role: string; answerMs: number }, { kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#role = role;
    this.#answerMs = answerMs;
    this.#kv = kv;
    this.#clock = clock;
  }

  /** Null: no answer. */
  read(): Promise<Stored | null> {
    return this.#answer(this.#kv.get(this.#role), stored);
  }

  /**
   * Compare-and-set; `over` null: there must be no record. Returns the new revision, or null: it failed, or its outcome
   * is unknown.
   */
  write(record: LeaseRecord, over: number | null): Promise<number | null> {
    const value = encodeLeaseRecord(record);
    const written = over === null ? this.#kv.create(this.#role, value) : this.#kv.update(this.#role, value, over);
    return this.#answer(written, (revision) => revision);
  }

  /**
   * Calls `fn` with changes, as far as they are noticed; null: there is no watch, and the store has to be polled
   * anyway.
   */
  watch(fn: (stored: Stored) => void): Promise<Subscription | null> {
    return this.#kv.watch((entry) => fn(stored(entry)), this.#role).catch(() => null);
  }

  #answer<T, R>(answer: Promise<T>, read: (answer: T) => R): Promise<R | null> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#answerMs, () => resolve(null));
      const done = (result: R | null): void => {
        timer.cancel();
        resolve(result);
      };
      answer.then(
        (value) => done(read(value)),
        () => done(null),
      );
    });
  }
}

function stored(entry: KvEntry | null): Stored {
  const value = entry?.value ?? null;
  const record = value === null ? null : decodeLeaseRecord(value);
  return { revision: entry?.revision ?? 0, record, isJunk: value !== null && record === null };
}
