import type { KeyValue, KvEntry, Subscription } from '../bus/bus.ts';
import { LastingWatch } from '../bus/lasting-watch.ts';
import type { Clock } from '../clock.ts';
import type { LeaseHolder } from './lease.ts';
import { decodeLeaseRecord } from './lease-record.ts';

/**
 * Who holds a role, for processes that want to reach the holder and do not contend. It says what the store said last: the
 * holder may be gone or frozen, and stays named here until another takes over or it releases.
 */
export class LeaseWatch {
  readonly #watch: LastingWatch;
  readonly #listeners = new Set<(holder: LeaseHolder | null) => void>();
  #holder: LeaseHolder | null = null;

  constructor({ role }: { role: string }, { kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#watch = new LastingWatch({ kv, key: role, clock, note: (entry) => this.#note(entry) });
  }

  /** Resolves when the present holder is known, or when the store could not be asked (it is tried again). */
  start(): Promise<void> {
    return this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
  }

  holder(): LeaseHolder | null {
    return this.#holder;
  }

  /** Called when the holder, its address or its epoch changes; not at renewals. */
  onChange(fn: (holder: LeaseHolder | null) => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  #note({ value }: KvEntry): void {
    const record = value === null ? null : decodeLeaseRecord(value);
    const holder = record === null || record.holder === '' ? null : { address: record.address, epoch: record.epoch };
    if (holder?.address !== this.#holder?.address || holder?.epoch !== this.#holder?.epoch) {
      this.#holder = holder;
      for (const fn of this.#listeners) {
        fn(holder);
      }
    }
  }
}
