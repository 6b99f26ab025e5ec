import type { Clock } from '@spanmesh/runtime/clock';
import { FAILED_HANDSHAKES_MS, MAX_FAILING } from './limits.ts';

/** What handshakes have failed too often of. */
export type FailingOf = 'address' | 'key';

export interface FailureLimitOptions {
  /** Handshakes of one address that may fail in FAILED_HANDSHAKES_MS. */
  readonly perAddress: number;
  /** The same for all that are tried with the key of one peer, whatever the address. */
  readonly perKey: number;
}

export interface FailureLimitDependencies {
  readonly clock: Clock;
  /** Called when a limit is reached, and not again before half of it has been regained. */
  readonly reached: (of: FailingOf, address: string) => void;
}

/**
 * Counts handshakes that were read and found wrong. Each tells whoever sent it a little about the key that it was tried with, if anything
 * about it can be measured at all, and takes milliseconds of RSA: there may be so many in a time, the rest is refused unread.
 */
export class FailureLimit {
  /** Times that a limit was reached. */
  readonly reached: Record<FailingOf, number> = { address: 0, key: 0 };
  readonly #deps: FailureLimitDependencies;
  readonly #addresses: Buckets;
  readonly #keys: Buckets;

  constructor({ perAddress, perKey }: FailureLimitOptions, deps: FailureLimitDependencies) {
    this.#deps = deps;
    this.#addresses = new Buckets(perAddress);
    this.#keys = new Buckets(perKey);
  }

  /** Addresses and keys whose failures are remembered. */
  get size(): number {
    return this.#addresses.size + this.#keys.size;
  }

  /** Why one more may not be begun, or read, now; null: it may. `key`: any text that stands for the peer's key. */
  limited(address: string, key: string): FailingOf | null {
    const now = this.#deps.clock.now();
    if (this.#addresses.isEmpty(address, now)) return 'address';
    return this.#keys.isEmpty(key, now) ? 'key' : null;
  }

  /** One has failed. */
  count(address: string, key: string): void {
    const now = this.#deps.clock.now();
    if (this.#addresses.take(address, now)) this.#tell('address', address);
    if (this.#keys.take(key, now)) this.#tell('key', address);
  }

  #tell(of: FailingOf, address: string): void {
    this.reached[of]++;
    this.#deps.reached(of, address);
  }
}

interface Bucket {
  /** Failures that are left, at `at`. */
  left: number;
  at: number;
  /** It has been empty, and not half full since. */
  wasEmpty: boolean;
}

/** What is left to each of those who have failed: regained evenly, all of it in FAILED_HANDSHAKES_MS. */
class Buckets {
  readonly #capacity: number;
  readonly #byName = new Map<string, Bucket>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#byName.size;
  }

  isEmpty(name: string, now: number): boolean {
    const bucket = this.#byName.get(name);
    return bucket !== undefined && this.#left(bucket, now) < 1;
  }

  /** Takes one. True: that was the last, for the first time in a while. */
  take(name: string, now: number): boolean {
    const bucket = this.#byName.get(name) ?? this.#add(name, now);
    const left = this.#left(bucket, now);
    if (left >= this.#capacity / 2) bucket.wasEmpty = false;
    bucket.left = Math.max(0, left - 1);
    bucket.at = now;
    if (bucket.left >= 1 || bucket.wasEmpty) return false;
    bucket.wasEmpty = true;
    return true;
  }

  #left({ left, at }: Bucket, now: number): number {
    return Math.min(this.#capacity, left + ((now - at) * this.#capacity) / FAILED_HANDSHAKES_MS);
  }

  #add(name: string, now: number): Bucket {
    if (this.#byName.size >= MAX_FAILING) this.#makeRoom(now);
    const bucket = { left: this.#capacity, at: now, wasEmpty: false };
    this.#byName.set(name, bucket);
    return bucket;
  }

  /** Those who have regained everything go, or, if there are none, the one who has failed least. */
  #makeRoom(now: number): void {
    let most: { name: string; left: number } | null = null;
    for (const [name, bucket] of this.#byName) {
      const left = this.#left(bucket, now);
      if (left >= this.#capacity) this.#byName.delete(name);
      else if (most === null || left > most.left) most = { name, left };
    }
    if (this.#byName.size >= MAX_FAILING && most !== null) this.#byName.delete(most.name);
  }
}
