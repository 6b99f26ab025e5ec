import * as z from 'zod';
import type { KeyValue, KvEntry, Subscription } from '../bus/bus.ts';
import { LastingWatch } from '../bus/lasting-watch.ts';
import type { Clock, Timer } from '../clock.ts';

/** A gateway's entry in the gateways bucket, under its name. */
export interface GatewayRecord {
  readonly name: string;
  /** Drawn at every start of the process, and again when a leader has declared the gateway dead. */
  readonly boot: string;
  /**
   * The boot id with which the process began. Ids of its connections contain this one, whatever boot id the gateway has
   * now.
   */
  readonly firstBoot: string;
  /** Address of its service port, `host:port`. */
  readonly serviceAddress: string;
  readonly version: string;
  /** Whether it is about to stop: then it takes no more connections and orders. */
  readonly draining: boolean;
}

/** How soon the store is asked again when it has not answered, ms. */
export const REGISTRATION_RETRY_MS = 1000;
/** How often a gateway checks that its entry is there, ms. */
export const REGISTRATION_LOOK_MS = 2000;
/** Entries that a reader keeps; far more than any installation has. */
const MAX_GATEWAYS = 4096;

const schema = z.object({
  name: z.string().min(1).max(256),
  boot: z.string().min(1).max(256),
  // A gateway of an earlier version leaves it out.
  firstBoot: z.string().max(256).default(''),
  serviceAddress: z.string().max(1024),
  version: z.string().max(256),
  // A gateway of an earlier version leaves it out.
  draining: z.boolean().default(false),
});
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A gateway's entry in the registry: written when it joins and when its content changes, deleted when the gateway
 * stops. The entry is read at intervals, not watched: a NATS user that may both write and watch a bucket could have
 * NATS deliver what it wrote to any subject (docs/tls.md, "NATS"). An entry that is gone (the store was wiped, or a
 * leader has declared the gateway dead) is written again, with the gateway's current id. An entry replaced by another
 * boot of the same name is left alone until `renew`: a leader decides which of the two boots is accepted.
 */
export class GatewayRegistration {
  readonly #record: () => Omit<GatewayRecord, 'draining'>;
  readonly #name: string;
  readonly #kv: KeyValue;
  readonly #clock: Clock;
  #draining = false;
  #timer: Timer | null = null;
  #running = false;
  /** The entry written last, and the revision at which it was last seen; 0: nothing was written. */
  #written = '';
  #revision = 0;
  /**
   * Whether another boot's entry may be replaced: a leader has accepted this boot, and no entry has been read since.
   */
  #claims = false;
  /** The read or write under way. */
  #pending: Promise<void> | null = null;
  /** Failed writes since the last one that succeeded. */
  failures = 0;

  /** `record`: asked for at each write; the name must not change. */
  constructor(record: () => Omit<GatewayRecord, 'draining'>, { kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#record = record;
    this.#name = record().name;
    this.#kv = kv;
    this.#clock = clock;
  }

  /** Resolves after the first attempt, successful or not: a gateway works without the store. */
  async start(): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      this.#begin(() => this.#write());
    }
    await this.#pending;
  }

  /** Says in the entry, now and in later writes, that the gateway drains. */
  drain(): void {
    this.#draining = true;
    this.renew();
  }

  /**
   * To be called when a leader has accepted the gateway, or the content of its record has changed: the entry is written
   * unless it is there already.
   */
  renew(): void {
    if (!this.#running) return;
    this.#claims = true;
    if (this.#pending !== null) void this.#pending.then(() => this.renew());
    else this.#begin(() => (this.#written === this.#text() ? this.#look() : this.#write()));
  }

  /** Deletes the entry, unless another boot of the same name has replaced it. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#timer?.cancel();
    await this.#pending;
    // A failure is harmless: the leader deletes the entries of dead gateways.
    if (this.#revision !== 0) await this.#kv.delete(this.#name, this.#revision).catch(() => {});
  }

  #text(): string {
    const record: GatewayRecord = { ...this.#record(), draining: this.#draining };
    return JSON.stringify(record);
  }

  /** Runs one step at a time. A failed step is repeated; after a successful one the next check is due. */
  #begin(step: () => Promise<boolean>): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#pending = step().then((isGood) => {
      this.#pending = null;
      if (!this.#running) return;
      const next = isGood ? () => this.#look() : step;
      this.#timer = this.#clock.after(isGood ? REGISTRATION_LOOK_MS : REGISTRATION_RETRY_MS, () => this.#begin(next));
    });
  }

  /** False: the outcome of the write is unknown. */
  async #write(): Promise<boolean> {
    const text = this.#text();
    try {
      this.#revision = await this.#kv.put(this.#name, encoder.encode(text));
    } catch {
      this.failures++;
      return false;
    }
    this.#written = text;
    this.#claims = false;
    this.failures = 0;
    return true;
  }

  /**
   * Writes the entry if it is gone, or if it may be replaced. It compares contents, not revisions: a store that was
   * rolled back counts revisions anew.
   */
  async #look(): Promise<boolean> {
    let entry: KvEntry | null;
    try {
      entry = await this.#kv.get(this.#name);
    } catch {
      return false;
    }
    const text = entry?.value == null ? null : decoder.decode(entry.value);
    if (text === null || (text !== this.#written && this.#claims)) return this.#running ? this.#write() : true;
    if (entry !== null && text === this.#written) {
      this.#revision = entry.revision;
      this.#claims = false;
    }
    return true;
  }
}

interface Known {
  readonly record: GatewayRecord;
  readonly revision: number;
}

/**
 * The gateways that have joined, according to the store. An entry counts until it is deleted, by its gateway when that
 * stops, or by the leader of topology when it has declared the gateway dead. It does not show whether a gateway lives.
 */
export class GatewayRegistry {
  readonly #watch: LastingWatch;
  readonly #kv: KeyValue;
  readonly #known = new Map<string, Known>();
  readonly #listeners = new Set<() => void>();
  #isComplete = false;

  constructor({ kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#kv = kv;
    const opened = (): void => {
      this.#isComplete = true;
      this.#changed();
    };
    this.#watch = new LastingWatch({ kv, clock, note: (entry) => this.#note(entry), opened });
  }

  /** Resolves when the entries present now are known, or when the store could not be asked (it is tried again). */
  async start(): Promise<void> {
    await this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    this.#known.clear();
    this.#isComplete = false;
  }

  /** Whether all entries have been read: a gateway that is missing here had no entry then. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Gateways that have joined, in no order. */
  gateways(): GatewayRecord[] {
    return [...this.#known.values()].map(({ record }) => record);
  }

  /** The gateway of this name; null: it has not joined. */
  get(name: string): GatewayRecord | null {
    return this.#known.get(name)?.record ?? null;
  }

  /**
   * Deletes the entry of a dead gateway, unless it is another boot's. Best effort: if the store is away it is not tried
   * again.
   */
  async remove(name: string, boot: string): Promise<void> {
    const known = this.#known.get(name);
    if (known?.record.boot !== boot) return;
    await this.#kv.delete(name, known.revision).catch(() => {});
  }

  /**
   * Called when a gateway appears, changes (another boot, another address) or leaves, and once all entries have been
   * read.
   */
  onChange(fn: () => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  #note({ key, value, revision }: KvEntry): void {
    const record = value === null ? null : decodeRecord(key, value);
    const known = this.#known.get(key);
    if (record === null) {
      if (this.#known.delete(key)) this.#changed();
      return;
    }
    if (known === undefined && this.#known.size >= MAX_GATEWAYS) return;
    this.#known.set(key, { record, revision });
    if (known === undefined || !sameRecord(known.record, record)) this.#changed();
  }

  #changed(): void {
    for (const fn of this.#listeners) fn();
  }
}

function decodeRecord(key: string, value: Uint8Array): GatewayRecord | null {
  try {
    const record = schema.parse(JSON.parse(decoder.decode(value)));
    return record.name === key ? { ...record, firstBoot: record.firstBoot || record.boot } : null;
  } catch {
    return null;
  }
}

function sameRecord(a: GatewayRecord, b: GatewayRecord): boolean {
  const { boot, serviceAddress, version, draining } = a;
  const same = boot === b.boot && serviceAddress === b.serviceAddress && version === b.version;
  return same && draining === b.draining;
}
