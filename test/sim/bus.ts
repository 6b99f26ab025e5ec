import { type Bus, BusError, type KeyValue, type KvEntry, type Subscription } from '@spanmesh/runtime/bus/bus';
import { checkBucket, checkKey, checkPattern, checkSize, checkSubject } from '@spanmesh/runtime/bus/bus-subjects';
import type { SimProcess } from './kernel.ts';
import { type Feed, type SimStore, STORE_HOST } from './store.ts';

/** How long an answer of the store may take (nats-stream.ts of libs/runtime), ms. */
const ANSWER_MS = 2000;
/**
 * A watch that hears nothing for SILENCE_MS begins anew, and if that fails tries again every RETRY_MS
 * (nats-kv-watch.ts).
 */
const SILENCE_MS = 2500;
const RETRY_MS = 250;
/**
 * A connection on which nothing comes is given up after DEAD_MS (pings of 1 s, two may be open), and a new one tried
 * every RECONNECT_MS.
 */
const DEAD_MS = 3000;
const RECONNECT_MS = 1000;

/** The bus of one process; behaves as NatsBus does. Without a connection, publications are lost, and requests fail. */
export class SimBus implements Bus {
  readonly process: SimProcess;
  readonly store: SimStore;
  connected = false;
  readonly #watches = new Set<SimWatch>();
  readonly #subscriptions = new Set<() => void>();
  readonly #forgotten: () => void;
  #isClosed = false;
  #isLooking = false;

  constructor(process: SimProcess, store: SimStore) {
    this.process = process;
    this.store = store;
    this.#forgotten = store.onChange(() => this.#look());
    process.onDeath.add(() => this.#end());
    this.#connectLater();
  }

  publish(subject: string, data: Uint8Array): void {
    this.#check();
    checkSubject(subject);
    checkSize(data);
    if (!this.connected) return;
    const { kernel, network } = this.store;
    kernel.at(null, kernel.now + network.delay(this.process.host, STORE_HOST), () => {
      if (this.store.reaches(this.process.host)) this.store.publish(subject, data);
    });
  }

  subscribe(subject: string, fn: (subject: string, data: Uint8Array) => void): Subscription {
    this.#check();
    checkPattern(subject);
    let isOver = false;
    const { kernel } = this.store;
    const end = this.store.subscribe({
      host: this.process.host,
      pattern: subject,
      tell: (said, data) =>
        kernel.next(this.process, () => {
          if (!isOver && this.connected) fn(said, data);
        }),
    });
    this.#subscriptions.add(end);
    return {
      unsubscribe: () => {
        isOver = true;
        this.#subscriptions.delete(end);
        end();
      },
    };
  }

  async kv(bucket: string): Promise<KeyValue> {
    this.#check();
    checkBucket(bucket);
    return new SimKeyValue(this, bucket);
  }

  async close(): Promise<void> {
    this.#end();
  }

  /**
   * Sends a request to the store; `call` runs there. Without an answer it fails with `unavailable`, although the store
   * may have done it.
   * @throws BusError
   */
  ask<T>(call: () => T): Promise<T> {
    this.#check();
    if (!this.connected) return Promise.reject(new BusError('unavailable', 'not connected with NATS'));
    const { kernel, network, random } = this.store;
    const { host, clock } = this.process;
    return new Promise((resolve, reject) => {
      const late = clock.after(ANSWER_MS, () => reject(new BusError('unavailable', 'JetStream: TIMEOUT')));
      const way = () => network.delay(host, STORE_HOST) + random.below(1 + this.store.slowMs);
      kernel.at(null, kernel.now + way(), () => {
        // A store without a leader sometimes still does what was asked, and does not answer.
        if (!this.store.reaches(host) || (!this.store.hasLeader && !random.oneIn(4))) return;
        let answer: () => void;
        try {
          const value = call();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        if (!this.store.hasLeader) return;
        kernel.at(null, kernel.now + way(), () => {
          if (!this.store.reaches(host)) return;
          kernel.next(this.process, () => {
            late.cancel();
            answer();
          });
        });
      });
    });
  }

  watched(watch: SimWatch): void {
    this.#watches.add(watch);
  }

  unwatched(watch: SimWatch): void {
    this.#watches.delete(watch);
  }

  #check(): void {
    if (this.#isClosed) throw new BusError('closed', 'the bus is closed');
  }

  /** Called when the way to the store may have changed. The process notices a change only after a while. */
  #look(): void {
    if (this.#isClosed || this.#isLooking || this.store.reaches(this.process.host) === this.connected) return;
    this.#isLooking = true;
    const { network, isUp, random } = this.store;
    const isSilent = isUp && network.state(this.process.host, STORE_HOST) !== 'cut';
    const wait = this.connected ? (isSilent ? DEAD_MS : 1) : RECONNECT_MS;
    this.process.clock.after(wait * (0.2 + random.below(800) / 1000), () => {
      this.#isLooking = false;
      const reaches = this.store.reaches(this.process.host);
      if (reaches !== this.connected) {
        this.connected = reaches;
        if (reaches) for (const watch of [...this.#watches]) watch.again();
      }
      this.#look();
    });
  }

  #connectLater(): void {
    const { kernel, random } = this.store;
    kernel.after(this.process, 1 + random.below(20), () => {
      this.connected = this.store.reaches(this.process.host);
      if (this.connected) for (const watch of [...this.#watches]) watch.again();
      this.#look();
    });
  }

  #end(): void {
    this.#isClosed = true;
    this.#forgotten();
    this.connected = false;
    for (const end of this.#subscriptions) end();
    this.#subscriptions.clear();
    for (const watch of [...this.#watches]) watch.end();
  }
}

/** A bucket of the simulated store, as one process uses it. */
class SimKeyValue implements KeyValue {
  readonly #bus: SimBus;
  readonly #bucket: string;

  constructor(bus: SimBus, bucket: string) {
    this.#bus = bus;
    this.#bucket = bucket;
  }

  async get(key: string): Promise<KvEntry | null> {
    checkKey(key);
    return this.#bus.ask(() => {
      const entry = this.#entries.get(key);
      return entry === undefined || entry.value === null ? null : entry;
    });
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    checkKey(key);
    checkSize(value);
    return this.#bus.ask(() => this.#set(key, value));
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    checkKey(key);
    checkSize(value);
    return this.#bus.ask(() => {
      if (this.#entries.get(key)?.value != null) throw new BusError('conflict', `${key} exists`);
      return this.#set(key, value);
    });
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    checkKey(key);
    checkSize(value);
    return this.#bus.ask(() => {
      this.#compare(key, revision);
      return this.#set(key, value);
    });
  }

  async delete(key: string, revision?: number): Promise<void> {
    checkKey(key);
    return this.#bus.ask(() => {
      if (revision !== undefined) this.#compare(key, revision);
      if (this.#entries.get(key)?.value != null) this.#set(key, null);
    });
  }

  async keys(): Promise<string[]> {
    return this.#bus.ask(() => [...this.#entries.values()].filter(({ value }) => value !== null).map(({ key }) => key));
  }

  async watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription> {
    const ofKey = (entry: KvEntry) => {
      if (key === undefined || entry.key === key) fn(entry);
    };
    const watch = new SimWatch(this.#bus, this.#bucket, ofKey);
    await watch.start();
    return { unsubscribe: () => watch.end() };
  }

  get #entries(): ReadonlyMap<string, KvEntry> {
    return this.#bus.store.bucket(this.#bucket).entries;
  }

  #set(key: string, value: Uint8Array | null): number {
    return this.#bus.store.set(this.#bucket, key, value);
  }

  #compare(key: string, revision: number): void {
    const last = this.#entries.get(key)?.revision ?? 0;
    if (last !== revision) throw new BusError('conflict', `${key} is at ${last}, not ${revision}`);
  }
}

/**
 * A watch that behaves as NatsWatch does: it survives every fault of a server, and lists all entries again whenever the
 * server was silent.
 */
class SimWatch {
  readonly #bus: SimBus;
  readonly #bucket: string;
  readonly #fn: (entry: KvEntry) => void;
  readonly #told = new Map<string, KvEntry>();
  #feed: Feed | null = null;
  #isOver = false;
  #isBeginning = false;

  constructor(bus: SimBus, bucket: string, fn: (entry: KvEntry) => void) {
    this.#bus = bus;
    this.#bucket = bucket;
    this.#fn = fn;
  }

  async start(): Promise<void> {
    await this.#begin();
    this.#bus.watched(this);
    this.#listen();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#drop();
    this.#bus.unwatched(this);
  }

  /** The connection is there again: lists everything anew. */
  again(): void {
    if (this.#isOver || this.#isBeginning) return;
    this.#drop();
    this.#begin().catch(() => {
      if (!this.#isOver) this.#bus.process.clock.after(RETRY_MS, () => this.again());
    });
  }

  /** Checks again and again whether heartbeats are missing, and then begins anew. */
  #listen(): void {
    this.#bus.process.clock.after(SILENCE_MS, () => {
      if (this.#isOver) return;
      if (this.#feed?.isOver === true) this.again();
      this.#listen();
    });
  }

  async #begin(): Promise<void> {
    const { store, process } = this.#bus;
    this.#isBeginning = true;
    const feed: Feed = {
      host: process.host,
      isOver: false,
      tell: (entry) =>
        store.kernel.next(process, () => {
          if (!feed.isOver && this.#feed === feed && !this.#isBeginning) this.#tell(entry);
          else before.push(entry);
        }),
    };
    const before: KvEntry[] = [];
    this.#feed = feed;
    try {
      const entries = await this.#bus.ask(() => {
        store.feed(this.#bucket, feed);
        return [...store.bucket(this.#bucket).entries.values()];
      });
      if (this.#isOver) return;
      const present = new Set<string>();
      for (const entry of entries) {
        if (entry.value !== null) present.add(entry.key);
        this.#tell(entry);
      }
      for (const [key, { revision }] of [...this.#told])
        if (!present.has(key)) this.#tell({ key, value: null, revision });
      for (const entry of before) this.#tell(entry);
    } catch (error) {
      this.#drop();
      throw error;
    } finally {
      this.#isBeginning = false;
    }
  }

  #tell(entry: KvEntry): void {
    if (this.#isOver) return;
    const told = this.#told.get(entry.key);
    if (entry.value === null) {
      if (this.#told.delete(entry.key)) this.#fn(entry);
      return;
    }
    if (told !== undefined && told.revision === entry.revision && Buffer.compare(told.value!, entry.value) === 0)
      return;
    this.#told.set(entry.key, entry);
    this.#fn(entry);
  }

  #drop(): void {
    if (this.#feed !== null) this.#bus.store.unfeed(this.#bucket, this.#feed);
    this.#feed = null;
  }
}
