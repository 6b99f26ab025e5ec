import type { KvEntry } from '@spanmesh/runtime/bus/bus';
import { subjectMatches } from '@spanmesh/runtime/bus/bus-subjects';
import { Random } from '../fuzz/random.ts';
import type { Kernel } from './kernel.ts';
import type { Network } from './network.ts';

export const STORE_HOST = '127.0.3.1';

/** A bucket in the store. A deleted key stays as an entry without value, as in JetStream. */
export interface Bucket {
  readonly entries: Map<string, KvEntry>;
  revision: number;
}

/** A watcher that is told of every change of a bucket, until the store forgets it. */
export interface Feed {
  readonly host: string;
  tell(entry: KvEntry): void;
  /** The store has forgotten it: it hears nothing any more, and is not told that. */
  isOver: boolean;
}

/** A subscription to published messages. */
interface Subscriber {
  readonly host: string;
  readonly pattern: string;
  tell(subject: string, data: Uint8Array): void;
}

/**
 * The NATS servers of an installation: publish and subscribe, and buckets that are kept on disk. It has NATS's own
 * faults.
 */
export class SimStore {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly random: Random;
  /** Whether the servers run. */
  isUp = true;
  /**
   * Whether the stream of the buckets has a leader. Without one nothing is read or written, but published messages
   * pass.
   */
  hasLeader = true;
  /** Additional time of reading or writing, ms. */
  slowMs = 0;
  #buckets = new Map<string, Bucket>();
  readonly #feeds = new Map<string, Set<Feed>>();
  readonly #subscribers = new Set<Subscriber>();
  /** Older contents of the buckets, for a roll-back. */
  #copies: Map<string, Bucket>[] = [];
  readonly #onChange = new Set<() => void>();

  constructor(kernel: Kernel, network: Network) {
    this.kernel = kernel;
    this.network = network;
    this.random = new Random(kernel.seed, 3);
    network.onChange(() => this.#changed());
    this.#copyNowAndThen();
  }

  /** `fn` is called when the hosts that reach the store may have changed. The returned function ends that. */
  onChange(fn: () => void): () => void {
    this.#onChange.add(fn);
    return () => this.#onChange.delete(fn);
  }

  bucket(name: string): Bucket {
    let found = this.#buckets.get(name);
    if (found === undefined) {
      found = { entries: new Map(), revision: 0 };
      this.#buckets.set(name, found);
    }
    return found;
  }

  /** Writes an entry and returns its revision. */
  set(name: string, key: string, value: Uint8Array | null): number {
    const bucket = this.bucket(name);
    const entry: KvEntry = { key, value, revision: ++bucket.revision };
    bucket.entries.set(key, entry);
    for (const feed of this.#feeds.get(name) ?? []) this.#tell(feed, entry);
    return entry.revision;
  }

  feed(name: string, feed: Feed): void {
    let feeds = this.#feeds.get(name);
    if (feeds === undefined) {
      feeds = new Set();
      this.#feeds.set(name, feeds);
    }
    feeds.add(feed);
  }

  unfeed(name: string, feed: Feed): void {
    feed.isOver = true;
    this.#feeds.get(name)?.delete(feed);
  }

  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** Core NATS: delivers to those subscribers that can be reached. */
  publish(subject: string, data: Uint8Array): void {
    for (const one of this.#subscribers) {
      if (!subjectMatches(one.pattern, subject) || !this.reaches(one.host)) continue;
      this.kernel.at(null, this.kernel.now + this.network.delay(STORE_HOST, one.host), () => {
        if (this.reaches(one.host)) one.tell(subject, data);
      });
    }
  }

  /** Whether the host and the store reach each other, in both directions. */
  reaches(host: string): boolean {
    const { network } = this;
    return this.isUp && network.state(host, STORE_HOST) === 'open' && network.state(STORE_HOST, host) === 'open';
  }

  /** Stops the servers. The buckets stay on their disks. */
  down(): void {
    this.isUp = false;
    this.#forgetFeeds();
    this.#changed();
  }

  up(): void {
    this.isUp = true;
    this.#changed();
  }

  /** The server that led the buckets' stream is gone. Until another one leads, requests are not answered. */
  loseLeader(): void {
    this.hasLeader = false;
    this.#forgetFeeds();
  }

  electLeader(): void {
    this.hasLeader = true;
  }

  /** Stops the servers and empties their disks. */
  wipe(): void {
    this.down();
    this.#buckets = new Map();
    this.#copies = [];
  }

  /** Stops the servers and gives their disks older contents. */
  rollBack(): void {
    this.down();
    const copy = this.#copies.length === 0 ? undefined : this.random.pick(this.#copies);
    if (copy !== undefined) this.#buckets = copied(copy);
    this.#copies = [];
  }

  /** Number of watchers, for checks that none is left over. */
  get feeds(): number {
    return [...this.#feeds.values()].reduce((sum, { size }) => sum + size, 0);
  }

  #tell(feed: Feed, entry: KvEntry): void {
    this.kernel.at(null, this.kernel.now + this.network.delay(STORE_HOST, feed.host), () => {
      if (feed.isOver) return;
      // A watcher that misses a change notices that by the next heartbeat or by its absence.
      if (this.reaches(feed.host)) feed.tell(entry);
      else feed.isOver = true;
    });
  }

  #forgetFeeds(): void {
    for (const feeds of this.#feeds.values()) {
      for (const feed of feeds) feed.isOver = true;
      feeds.clear();
    }
  }

  #changed(): void {
    for (const fn of this.#onChange) fn();
  }

  #copyNowAndThen(): void {
    this.kernel.at(null, this.kernel.now + 1000 + this.random.below(10_000), () => {
      this.#copies = [...this.#copies.slice(-3), copied(this.#buckets)];
      this.#copyNowAndThen();
    });
  }
}

function copied(buckets: ReadonlyMap<string, Bucket>): Map<string, Bucket> {
  return new Map([...buckets].map(([name, { entries, revision }]) => [name, { entries: new Map(entries), revision }]));
}
