import { type Bus, BusError, type KeyValue, type Subscription } from '../bus.ts';
import { checkBucket, checkPattern, checkSize, checkSubject, subjectMatches } from '../bus-subjects.ts';
import { InProcessKeyValue, type OnBusError } from './in-process-kv.ts';

interface Subscriber {
  readonly pattern: string;
  readonly fn: (subject: string, data: Uint8Array) => void;
  /**
   * Number of the first message that the subscriber gets: messages published before it subscribed have lower numbers.
   */
  readonly from: number;
}

/** A bucket that the bus closes with itself. */
export interface ClosableKeyValue extends KeyValue {
  close(): void;
}

/**
 * Opens a bucket that is stored outside memory; null: this bucket is not. If it rejects, `kv` rejects with the same
 * error.
 */
export type OpenBucket = (bucket: string) => Promise<ClosableKeyValue> | null;

/**
 * The bus of one process (standalone, tests). Bytes are delivered without a copy. Deliveries are microtasks: never
 * inside publish, and in the order of publishing.
 */
export class InProcessBus implements Bus {
  readonly #onError: OnBusError;
  readonly #exact = new Map<string, Set<Subscriber>>();
  readonly #wild = new Set<Subscriber>();
  readonly #openBucket: OpenBucket;
  readonly #buckets = new Map<string, Promise<ClosableKeyValue>>();
  #published = 0;
  #closed = false;

  constructor({ onError, openBucket = () => null }: { onError: OnBusError; openBucket?: OpenBucket }) {
    this.#onError = onError;
    this.#openBucket = openBucket;
  }

  publish(subject: string, data: Uint8Array): void {
    this.#checkOpen();
    checkSubject(subject);
    checkSize(data);
    const number = this.#published++;
    if (this.#wild.size > 0 || this.#exact.has(subject)) {
      queueMicrotask(() => this.#deliver(number, subject, data));
    }
  }

  subscribe(subject: string, fn: (subject: string, data: Uint8Array) => void): Subscription {
    this.#checkOpen();
    const wild = checkPattern(subject);
    const subscriber: Subscriber = { pattern: subject, fn, from: this.#published };
    let peers = this.#wild;
    if (!wild) {
      peers = this.#exact.get(subject) ?? new Set();
      this.#exact.set(subject, peers);
    }
    peers.add(subscriber);
    return {
      unsubscribe: () => {
        peers.delete(subscriber);
        if (!wild && peers.size === 0 && this.#exact.get(subject) === peers) {
          this.#exact.delete(subject);
        }
      },
    };
  }

  async kv(bucket: string): Promise<KeyValue> {
    this.#checkOpen();
    checkBucket(bucket);
    let store = this.#buckets.get(bucket);
    if (store === undefined) {
      store = this.#openBucket(bucket) ?? Promise.resolve(new InProcessKeyValue({ onError: this.#onError }));
      this.#buckets.set(bucket, store);
      // A bucket that could not be opened is tried again by the next caller.
      store.catch(() => this.#buckets.delete(bucket));
    }
    return store;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#exact.clear();
    this.#wild.clear();
    for (const store of this.#buckets.values()) {
      store.then(
        (opened) => opened.close(),
        () => {},
      );
    }
    await Promise.allSettled(this.#buckets.values());
  }

  #deliver(number: number, subject: string, data: Uint8Array): void {
    // Looked up now, not at publish: a subscriber that has unsubscribed meanwhile gets nothing.
    const exact = this.#exact.get(subject);
    if (exact !== undefined) {
      for (const subscriber of exact) {
        this.#call(subscriber, number, subject, data);
      }
    }
    for (const subscriber of this.#wild) {
      if (subjectMatches(subscriber.pattern, subject)) {
        this.#call(subscriber, number, subject, data);
      }
    }
  }

  #call(subscriber: Subscriber, number: number, subject: string, data: Uint8Array): void {
    if (number < subscriber.from || this.#closed) {
      return;
    }
    try {
      subscriber.fn(subject, data);
    } catch (error) {
      this.#onError(error, subject);
    }
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new BusError('closed', 'the bus is closed');
    }
  }
}
