import type { KvEntry } from '@spanmesh/runtime/bus/bus';
import { subjectMatches } from '@spanmesh/runtime/bus/bus-subjects';
import { Random } from '../fuzz/random.ts';
import type { Kernel } from './kernel.ts';
import type { Network } from './network.ts';

export const STORE_HOST = '127.0.3.1';

/** A bucket as the store has it. Deleted keys stay as entries without value, as in JetStream. */
export interface Bucket {
  readonly entries: Map<string, KvEntry>;
  revision: number;
}

/** Somebody who is told of every change of a bucket, until the store forgets it. */
export interface Feed {
  readonly host: string;
  tell(entry: KvEntry): void;
  /** It will hear nothing any more, and is not told so. */
  isOver: boolean;
}

interface Subscriber {
  readonly host: string;
  readonly pattern: string;
  tell(subject: string, data: Uint8Array): void;
}

/** What the servers of NATS are to an installation: news, and buckets that are kept on disk. With NATS's own faults. */
export class SimStore {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly random: Random;
  /** Its processes run. */
  isUp = true;
  /** The stream of the buckets has a leader: without, nothing is read or written, and news go on. */
  hasLeader = true;
  /** ms that reading or writing takes longer. */
  slowMs = 0;
  #buckets = new Map<string, Bucket>();
  readonly #feeds = new Map<string, Set<Feed>>();
  readonly #subscribers = new Set<Subscriber>();
  /** What it held now and then, for a roll-back. */
  #copies: Map<string, Bucket>[] = [];
  readonly #onChange = new Set<() => void>();

  constructor(kernel: Kernel, network: Network) {
    this.kernel = kernel;
    this.network = network;
    this.random = new Random(kernel.seed, 3);
    network.onChange(() => this.#changed());
    this.#copyNowAndThen();
  }

  /** Called when it may be reached by other hosts than before. Gives how to end that. */
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

  /** Writes; gives the revision. */
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

  /** Core NATS: subscribers that can be reached get it. */
  publish(subject: string, data: Uint8Array): void {
    for (const one of this.#subscribers) {
      if (!subjectMatches(one.pattern, subject) || !this.reaches(one.host)) continue;
      this.kernel.at(null, this.kernel.now + this.network.delay(STORE_HOST, one.host), () => {
        if (this.reaches(one.host)) one.tell(subject, data);
      });
    }
  }

  /** Both ways. */
  reaches(host: string): boolean {
    const { network } = this;
    return this.isUp && network.state(host, STORE_HOST) === 'open' && network.state(STORE_HOST, host) === 'open';
  }

  /** The servers end; what they hold stays on their disks. */
  down(): void {
    this.isUp = false;
    this.#forgetFeeds();
    this.#changed();
  }

  up(): void {
    this.isUp = true;
    this.#changed();
  }

  /** The server that led the buckets' stream is gone; until another does, nobody gets an answer. */
  loseLeader(): void {
    this.hasLeader = false;
    this.#forgetFeeds();
  }

  electLeader(): void {
    this.hasLeader = true;
  }

  /** Comes back with empty disks. */
  wipe(): void {
    this.down();
    this.#buckets = new Map();
    this.#copies = [];
  }

  /** Comes back with the disks of some time ago. */
  rollBack(): void {
    this.down();
    const copy = this.#copies.length === 0 ? undefined : this.random.pick(this.#copies);
    if (copy !== undefined) this.#buckets = copied(copy);
    this.#copies = [];
  }

  /** All watchers, for who looks for one too many. */
  get feeds(): number {
    return [...this.#feeds.values()].reduce((sum, { size }) => sum + size, 0);
  }

  #tell(feed: Feed, entry: KvEntry): void {
    this.kernel.at(null, this.kernel.now + this.network.delay(STORE_HOST, feed.host), () => {
      if (feed.isOver) return;
      // What is lost on the way is seen by the next heartbeat, at the latest by their absence.
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
