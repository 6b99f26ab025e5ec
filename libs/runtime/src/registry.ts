import { z } from 'zod';
import type { KeyValue, KvEntry, Subscription } from './bus.ts';
import type { Clock, Timer } from './clock.ts';
import { LastingWatch } from './lasting-watch.ts';

/** What a gateway says of itself in the gateways bucket, under its name. */
export interface GatewayRecord {
  readonly name: string;
  /** Made anew at every start of the process. */
  readonly boot: string;
  /** Where other services reach it, `host:port`. */
  readonly serviceAddress: string;
  readonly version: string;
  /** It is going to stop: it takes no connections and no orders any more. */
  readonly draining: boolean;
}

/** How often a gateway renews its entry, ms. */
export const REGISTRATION_INTERVAL_MS = 1000;
/** How long a reader believes an entry of which it sees no new revision, ms: five missed renewals. */
export const REGISTRY_AGE_MS = 5000;
/** Entries that a reader keeps; far above any installation. */
const MAX_GATEWAYS = 4096;

const schema = z.object({
  name: z.string().min(1).max(256),
  boot: z.string().min(1).max(256),
  serviceAddress: z.string().max(1024),
  version: z.string().max(256),
  // A gateway of an earlier version does not say.
  draining: z.boolean().default(false),
});
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Keeps a gateway's entry fresh: put every second, deleted on stop. A store that is away is tried again. */
export class GatewayRegistration {
  readonly #record: Omit<GatewayRecord, 'draining'>;
  readonly #kv: KeyValue;
  readonly #clock: Clock;
  #draining = false;
  #timer: Timer | null = null;
  #running = false;
  #revision = 0;
  #pending: Promise<void> = Promise.resolve();
  /** Renewals that failed since the last one that did not. */
  failures = 0;

  constructor(record: Omit<GatewayRecord, 'draining'>, { kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#record = record;
    this.#kv = kv;
    this.#clock = clock;
  }

  /** Resolves after the first attempt, whether it succeeded or not: a gateway works without the store. */
  async start(): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      this.#renew();
    }
    await this.#pending;
  }

  /** Says so at once, and as long as the entry is there. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (!this.#running) return;
    void this.#pending.then(() => {
      if (!this.#running) return;
      this.#timer?.cancel();
      this.#renew();
    });
  }

  /** Deletes the entry, unless another boot of the same name has taken it over. */
  async stop(): Promise<void> {
    if (!this.#running) {
      return;
    }
    this.#running = false;
    this.#timer?.cancel();
    await this.#pending;
    if (this.#revision !== 0) {
      // Failing is harmless: readers age it out.
      await this.#kv.delete(this.#record.name, this.#revision).catch(() => {});
    }
  }

  #renew(): void {
    const record: GatewayRecord = { ...this.#record, draining: this.#draining };
    this.#pending = this.#kv.put(record.name, encoder.encode(JSON.stringify(record))).then(
      (revision) => {
        this.#revision = revision;
        this.failures = 0;
        this.#again();
      },
      () => {
        this.failures++;
        this.#again();
      },
    );
  }

  #again(): void {
    if (this.#running) {
      this.#timer = this.#clock.after(REGISTRATION_INTERVAL_MS, () => this.#renew());
    }
  }
}

interface Known {
  readonly record: GatewayRecord;
  readonly revision: number;
  /** When this reader saw its revision, on this reader's monotonic clock. */
  readonly seenAt: number;
}

/**
 * The gateways that are there, as this reader sees it: an entry counts until it is deleted or the reader has seen no
 * new revision of it for REGISTRY_AGE_MS (architecture.md "Interfaces", Bus: presence is aged by the reader).
 */
export class GatewayRegistry {
  readonly #watch: LastingWatch;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #listeners = new Set<() => void>();
  #timer: Timer | null = null;
  #running = false;

  constructor({ kv, clock }: { kv: KeyValue; clock: Clock }) {
    this.#clock = clock;
    this.#watch = new LastingWatch({ kv, clock, note: (entry) => this.#note(entry) });
  }

  /** Resolves when the entries present now are known, or when the store could not be asked (it is tried again). */
  async start(): Promise<void> {
    this.#running = true;
    await this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#watch.stop();
    this.#timer?.cancel();
    this.#timer = null;
    this.#known.clear();
  }

  /** Those that are present, in no order. */
  gateways(): GatewayRecord[] {
    const oldest = this.#clock.now() - REGISTRY_AGE_MS;
    return [...this.#known.values()].filter((known) => known.seenAt > oldest).map((known) => known.record);
  }

  /** The one of this name if it is present. */
  get(name: string): GatewayRecord | null {
    const known = this.#known.get(name);
    return known !== undefined && known.seenAt > this.#clock.now() - REGISTRY_AGE_MS ? known.record : null;
  }

  /** Called when a gateway appears, changes (another boot, another address) or goes. Not at mere renewals. */
  onChange(fn: () => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  #note(entry: KvEntry): void {
    const record = entry.value === null ? null : decodeRecord(entry.key, entry.value);
    const known = this.#known.get(entry.key);
    if (record === null) {
      if (this.#known.delete(entry.key)) {
        this.#changed();
      }
      return;
    }
    // The same revision again (a watch that was reopened) is no sign of life.
    if (known?.revision === entry.revision || (known === undefined && this.#known.size >= MAX_GATEWAYS)) {
      return;
    }
    // Kept in the order of their last sign of life, so that the first is the first to age out.
    this.#known.delete(entry.key);
    this.#known.set(entry.key, { record, revision: entry.revision, seenAt: this.#clock.now() });
    this.#arm();
    if (known === undefined || !sameRecord(known.record, record)) {
      this.#changed();
    }
  }

  #arm(): void {
    if (this.#timer !== null || !this.#running) {
      return;
    }
    const first = this.#known.values().next().value;
    if (first !== undefined) {
      const left = first.seenAt + REGISTRY_AGE_MS - this.#clock.now();
      this.#timer = this.#clock.after(Math.max(0, left), () => {
        this.#timer = null;
        this.#sweep();
      });
    }
  }

  #sweep(): void {
    const oldest = this.#clock.now() - REGISTRY_AGE_MS;
    let gone = 0;
    for (const [name, known] of this.#known) {
      if (known.seenAt > oldest) {
        break;
      }
      this.#known.delete(name);
      gone++;
    }
    this.#arm();
    if (gone > 0) {
      this.#changed();
    }
  }

  #changed(): void {
    for (const fn of this.#listeners) {
      fn();
    }
  }
}

function decodeRecord(key: string, value: Uint8Array): GatewayRecord | null {
  try {
    const record = schema.parse(JSON.parse(decoder.decode(value)));
    return record.name === key ? record : null;
  } catch {
    return null;
  }
}

function sameRecord(a: GatewayRecord, b: GatewayRecord): boolean {
  const { boot, serviceAddress, version, draining } = a;
  const same = boot === b.boot && serviceAddress === b.serviceAddress && version === b.version;
  return same && draining === b.draining;
}
