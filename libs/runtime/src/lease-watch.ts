import { BusError, type KeyValue, type KvEntry, type Subscription } from './bus.ts';
import type { Clock } from './clock.ts';
import type { LeaseHolder } from './lease.ts';
import { decodeLeaseRecord } from './lease-record.ts';

/** How soon a watch that could not be opened is tried again, ms. */
const WATCH_RETRY_MS = 1000;

/**
 * Who holds a role, for those who want to reach the holder and do not contend. It says what the store said last: the
 * holder may be gone or frozen, and stays named here until another takes over or it releases.
 */
export class LeaseWatch {
  readonly #role: string;
  readonly #kv: KeyValue;
  readonly #clock: Clock;
  readonly #listeners = new Set<(holder: LeaseHolder | null) => void>();
  #watch: Subscription | null = null;
  #running = false;
  #holder: LeaseHolder | null = null;

  constructor({ role }: { role: string }, { kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#role = role;
    this.#kv = kv;
    this.#clock = clock;
  }

  /** Resolves when the present holder is known, or when the store could not be asked (it is tried again). */
  async start(): Promise<void> {
    this.#running = true;
    await this.#open();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#watch?.unsubscribe();
    this.#watch = null;
  }

  holder(): LeaseHolder | null {
    return this.#holder;
  }

  /** Called when the holder, its address or its epoch changes; not at renewals. */
  onChange(fn: (holder: LeaseHolder | null) => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  async #open(): Promise<void> {
    try {
      const watch = await this.#kv.watch((entry) => this.#note(entry));
      if (this.#running) {
        this.#watch = watch;
      } else {
        watch.unsubscribe();
      }
    } catch (error) {
      if (!(error instanceof BusError && error.code === 'closed')) {
        this.#clock.after(WATCH_RETRY_MS, () => {
          if (this.#running && this.#watch === null) {
            void this.#open();
          }
        });
      }
    }
  }

  #note({ key, value }: KvEntry): void {
    if (key !== this.#role || !this.#running) {
      return;
    }
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
