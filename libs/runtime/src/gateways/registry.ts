import { z } from 'zod';
import type { KeyValue, KvEntry, Subscription } from '../bus/bus.ts';
import { LastingWatch } from '../bus/lasting-watch.ts';
import type { Clock, Timer } from '../clock.ts';

/** What a gateway says of itself in the gateways bucket, under its name. */
export interface GatewayRecord {
  readonly name: string;
  /** Drawn at every start of the process, and anew when a leader has declared the gateway dead. */
  readonly boot: string;
  /** The boot id that the process began with: names what the process has (its connections) whatever id the gateway has taken since. */
  readonly firstBoot: string;
  /** Where other services reach it, `host:port`. */
  readonly serviceAddress: string;
  readonly version: string;
  /** It is going to stop: it takes no connections and no orders any more. */
  readonly draining: boolean;
}

/** How soon a write that failed is tried again, ms. */
export const REGISTRATION_RETRY_MS = 1000;
/** Entries that a reader keeps; far above any installation. */
const MAX_GATEWAYS = 4096;

const schema = z.object({
  name: z.string().min(1).max(256),
  boot: z.string().min(1).max(256),
  // A gateway of an earlier version does not say.
  firstBoot: z.string().max(256).default(''),
  serviceAddress: z.string().max(1024),
  version: z.string().max(256),
  // A gateway of an earlier version does not say.
  draining: z.boolean().default(false),
});
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A gateway's entry in the registry: written when it joins and when what it says of itself changes, deleted when it stops. An entry that
 * is deleted meanwhile (the store was wiped, or a leader has declared the gateway dead) is written again, as the gateway is called then.
 * One that another boot of the same name has replaced is left alone until `renew`: a leader decides which of the two is taken on.
 */
export class GatewayRegistration {
  readonly #record: () => Omit<GatewayRecord, 'draining'>;
  readonly #name: string;
  readonly #kv: KeyValue;
  readonly #clock: Clock;
  readonly #watch: LastingWatch;
  #draining = false;
  #timer: Timer | null = null;
  #running = false;
  /** What was written last, and the revision that it has; 0: nothing was. */
  #written = '';
  #revision = 0;
  /** Revision of the newest change of the entry that the store has told, and of its newest deletion. */
  #seen = 0;
  #deletedAt = 0;
  #pending: Promise<void> | null = null;
  /** Writes that failed since the last one that did not. */
  failures = 0;

  /** `record`: asked for at each write; the name must not change. */
  constructor(record: () => Omit<GatewayRecord, 'draining'>, { kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#record = record;
    this.#name = record().name;
    this.#kv = kv;
    this.#clock = clock;
    this.#watch = new LastingWatch({ kv, key: this.#name, clock, note: (entry) => this.#note(entry) });
  }

  /** Resolves after the first attempt, whether it succeeded or not: a gateway works without the store. */
  async start(): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      this.#write();
      void this.#watch.start();
    }
    await this.#pending;
  }

  /** Says so at once, and as long as the entry is there. */
  drain(): void {
    this.#draining = true;
    this.renew();
  }

  /** A leader has taken the gateway on, or it says something else of itself: the entry is written unless it is there as it should be. */
  renew(): void {
    if (!this.#running) return;
    if (this.#pending !== null) void this.#pending.then(() => this.renew());
    else if (this.#written !== this.#text() || this.#seen > this.#revision) this.#write();
  }

  /** Deletes the entry, unless another boot of the same name has taken it over. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#watch.stop();
    this.#timer?.cancel();
    await this.#pending;
    // Failing is harmless: the leader deletes the entries of the dead.
    if (this.#revision !== 0) await this.#kv.delete(this.#name, this.#revision).catch(() => {});
  }

  #text(): string {
    const record: GatewayRecord = { ...this.#record(), draining: this.#draining };
    return JSON.stringify(record);
  }

  #write(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const text = this.#text();
    this.#pending = this.#kv.put(this.#name, encoder.encode(text)).then(
      (revision) => {
        this.#pending = null;
        this.#written = text;
        this.#revision = revision;
        this.failures = 0;
        if (this.#running && this.#deletedAt > revision) this.#write();
      },
      () => {
        this.#pending = null;
        this.failures++;
        this.#retry();
      },
    );
  }

  #retry(): void {
    if (!this.#running) return;
    this.#timer ??= this.#clock.after(REGISTRATION_RETRY_MS, () => this.#write());
  }

  #note({ value, revision }: KvEntry): void {
    this.#seen = revision;
    if (value !== null) return;
    this.#deletedAt = revision;
    if (this.#pending !== null) return;
    // A store that was wiped tells the end of what it told last. A pause, so that nobody who deletes is fought with all one's might.
    if (revision >= this.#revision) this.#retry();
    // An end that is older than our write, or one in a store that was rolled back and counts anew: the store knows which.
    else void this.#look();
  }

  /** Writes the entry unless one is there: ours, or that of another boot. */
  async #look(): Promise<void> {
    let isMissing: boolean;
    try {
      isMissing = ((await this.#kv.get(this.#name))?.value ?? null) === null;
    } catch {
      if (this.#running) this.#timer ??= this.#clock.after(REGISTRATION_RETRY_MS, () => this.#lookAgain());
      return;
    }
    if (isMissing && this.#pending === null) this.#retry();
  }

  #lookAgain(): void {
    this.#timer = null;
    void this.#look();
  }
}

interface Known {
  readonly record: GatewayRecord;
  readonly revision: number;
}

/**
 * The gateways that have joined, as the store tells: an entry counts until it is deleted, by its gateway when that stops or by the leader
 * of topology when that has declared the gateway dead. Whether a gateway lives is not to be learnt from here.
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

  /** All entries have been read: what is not here was not there then. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Those that have joined, in no order. */
  gateways(): GatewayRecord[] {
    return [...this.#known.values()].map(({ record }) => record);
  }

  /** The one of this name if it has joined. */
  get(name: string): GatewayRecord | null {
    return this.#known.get(name)?.record ?? null;
  }

  /** Deletes the entry of a gateway that is dead, unless it is another boot's. Best effort: a store that is away is not asked again. */
  async remove(name: string, boot: string): Promise<void> {
    const known = this.#known.get(name);
    if (known?.record.boot !== boot) return;
    await this.#kv.delete(name, known.revision).catch(() => {});
  }

  /** Called when a gateway appears, changes (another boot, another address) or goes, and once all entries have been read. */
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
