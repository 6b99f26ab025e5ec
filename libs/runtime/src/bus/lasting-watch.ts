import type { Clock } from '../clock.ts';
import { BusError, type KeyValue, type KvEntry, type Subscription } from './bus.ts';

/** How soon a watch that could not be opened is tried again, ms. */
const RETRY_MS = 1000;

export interface LastingWatchDependencies {
  readonly kv: KeyValue;
  /** The key to watch; undefined: every key. */
  readonly key?: string;
  readonly clock: Clock;
  /** Called with every current entry, then with each change. Not called after `stop`. */
  readonly note: (entry: KvEntry) => void;
  /** Called once the current entries have been passed on for the first time. */
  readonly opened?: () => void;
}

/** A watch of a store that is retried until it can be opened, unless the bus is closed. */
export class LastingWatch {
  readonly #deps: LastingWatchDependencies;
  #watch: Subscription | null = null;
  #running = false;

  constructor(deps: LastingWatchDependencies) {
    this.#deps = deps;
  }

  /**
   * Resolves when the current entries have been passed on, or when the store could not be asked (it is tried again).
   */
  async start(): Promise<void> {
    this.#running = true;
    await this.#open();
  }

  stop(): void {
    this.#running = false;
    this.#watch?.unsubscribe();
    this.#watch = null;
  }

  async #open(): Promise<void> {
    const { kv, key, clock, note, opened } = this.#deps;
    try {
      const watch = await kv.watch((entry) => {
        if (this.#running) note(entry);
      }, key);
      if (this.#running) {
        this.#watch = watch;
        opened?.();
      } else watch.unsubscribe();
    } catch (error) {
      if (!this.#running || (error instanceof BusError && error.code === 'closed')) return;
      clock.after(RETRY_MS, () => {
        if (this.#running && this.#watch === null) void this.#open();
      });
    }
  }
}
