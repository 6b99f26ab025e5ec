import type { KeyValue, KvEntry, Subscription } from '../bus/bus.ts';
import { LastingWatch } from '../bus/lasting-watch.ts';
import type { Clock } from '../clock.ts';
import type { LeaseHolder } from './lease.ts';
import { decodeLeaseRecord } from './lease-record.ts';

/**
 * The holder of a role, for processes that want to reach it and do not contend. It shows the last state of the store:
 * the holder may be gone or frozen, and is shown until another takes over or it releases the lease.
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
