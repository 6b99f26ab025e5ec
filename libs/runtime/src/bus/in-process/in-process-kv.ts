import { BusError, type KeyValue, type KvEntry, type Subscription } from '../bus.ts';
import { checkKey, checkSize } from '../bus-subjects.ts';

/** Called with the exception of a subscriber or watcher; `where` is the subject or key. */
export type OnBusError = (error: unknown, where: string) => void;

interface Watcher {
  readonly fn: (entry: KvEntry) => void;
  /** undefined: all keys. */
  readonly key: string | undefined;
  /** Cleared by unsubscribe and close: entries still queued for the watcher are dropped then. */
  active: boolean;
}

/** A bucket in memory. A change is made inside the call; only watchers hear of it later, in order. */
export class InProcessKeyValue implements KeyValue {
  readonly #onError: OnBusError;
  /**
   * Deleted keys stay as entries without a value, as in JetStream: `create` and compare-and-set use their revisions.
   */
  readonly #entries = new Map<string, KvEntry>();
  readonly #watchers = new Set<Watcher>();
  #revision = 0;
  #closed = false;

  constructor({ onError }: { onError: OnBusError }) {
    this.#onError = onError;
  }

  async get(key: string): Promise<KvEntry | null> {
    this.#check(key);
    const entry = this.#entries.get(key);
    return entry === undefined || entry.value === null ? null : entry;
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    this.#check(key);
    return this.#set(key, value);
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    this.#check(key);
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.value !== null) {
      throw new BusError('conflict', `${key} exists at revision ${entry.revision}`);
    }
    return this.#set(key, value);
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    this.#check(key);
    this.#compare(key, revision);
    return this.#set(key, value);
  }

  async delete(key: string, revision?: number): Promise<void> {
    this.#check(key);
    if (revision !== undefined) {
      this.#compare(key, revision);
    }
    if (this.#entries.get(key)?.value != null) {
      this.#set(key, null);
    }
  }

  async keys(): Promise<string[]> {
    this.#checkOpen();
    return [...this.#entries.values()].filter((entry) => entry.value !== null).map((entry) => entry.key);
  }

  async watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription> {
    this.#checkOpen();
    if (key !== undefined) checkKey(key);
    const watcher: Watcher = { fn, key, active: true };
    // The watcher is registered in the same step in which the current entries are queued, so no change is lost between.
    this.#watchers.add(watcher);
    for (const entry of this.#entries.values()) {
      if (entry.value !== null) {
        this.#tell(watcher, entry);
      }
    }
    await new Promise<void>((resolve) => queueMicrotask(resolve));
    return {
      unsubscribe: () => {
        watcher.active = false;
        this.#watchers.delete(watcher);
      },
    };
  }

  /** Highest revision given out so far. */
  get revision(): number {
    return this.#revision;
  }

  /** Every entry, deleted ones too. */
  entries(): Iterable<KvEntry> {
    return this.#entries.values();
  }

  /** A copy of this bucket, without watchers, on which a change can be tried. Throws BusError `closed`. */
  draft(): InProcessKeyValue {
    this.#checkOpen();
    const draft = new InProcessKeyValue({ onError: this.#onError });
    draft.restore(this.#entries.values(), this.#revision);
    return draft;
  }

  /**
   * Sets the content that an earlier process had, before anything else is done with the bucket; the next revision is
   * above `revision`.
   */
  restore(entries: Iterable<KvEntry>, revision: number): void {
    for (const entry of entries) {
      this.#entries.set(entry.key, entry);
    }
    this.#revision = revision;
  }

  /** Every call answers `closed` from now on. */
  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers) {
      watcher.active = false;
    }
    this.#watchers.clear();
  }

  #set(key: string, value: Uint8Array | null): number {
    if (value !== null) {
      checkSize(value);
    }
    const entry: KvEntry = { key, value, revision: ++this.#revision };
    this.#entries.set(key, entry);
    for (const watcher of this.#watchers) {
      this.#tell(watcher, entry);
    }
    return entry.revision;
  }

  #tell(watcher: Watcher, entry: KvEntry): void {
    if (watcher.key !== undefined && watcher.key !== entry.key) return;
    queueMicrotask(() => {
      if (!watcher.active) {
        return;
      }
      try {
        watcher.fn(entry);
      } catch (error) {
        this.#onError(error, entry.key);
      }
    });
  }

  #compare(key: string, revision: number): void {
    const last = this.#entries.get(key)?.revision ?? 0;
    if (last !== revision) {
      throw new BusError('conflict', `${key} is at revision ${last}, not ${revision}`);
    }
  }

  #check(key: string): void {
    this.#checkOpen();
    checkKey(key);
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new BusError('closed', 'the bus is closed');
    }
  }
}
