import type { Clock } from '@spanmesh/runtime/clock';
import { FAILED_HANDSHAKES_MS, MAX_FAILING } from './limits.ts';

/** Which limit of failed handshakes is reached: that of the address, or that of the peer's key. */
export type FailingOf = 'address' | 'key';

export interface FailureLimitOptions {
  /** Handshakes from one address that may fail within FAILED_HANDSHAKES_MS. */
  readonly perAddress: number;
  /** Handshakes with the key of one peer, from all addresses, that may fail within FAILED_HANDSHAKES_MS. */
  readonly perKey: number;
}

export interface FailureLimitDependencies {
  readonly clock: Clock;
  /** Called when a limit is reached, and not again before half of the allowance is regained. */
  readonly reached: (of: FailingOf, address: string) => void;
}

/**
 * Counts handshakes that were read and found wrong. Each one takes milliseconds of RSA, and may tell its sender a
 * little about the key that it was tried with, if anything about it can be measured at all. So only a limited number
 * may fail in a given time; after that handshakes are refused unread.
 */
export class FailureLimit {
  /** How often each limit was reached. */
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

  /**
   * Which limit forbids another handshake to begin, or to be read, now; null: none. `key`: any text that identifies the
   * peer's key.
   */
  limited(address: string, key: string): FailingOf | null {
    const now = this.#deps.clock.now();
    if (this.#addresses.isEmpty(address, now)) return 'address';
    return this.#keys.isEmpty(key, now) ? 'key' : null;
  }

  /** Counts a failed handshake. */
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
  /** Failures that were still allowed at the time `at`. */
  left: number;
  at: number;
  /** The allowance was used up, and has not been half regained since. */
  wasEmpty: boolean;
}

/**
 * The failures still allowed, by address or key. A used-up allowance is regained evenly, within FAILED_HANDSHAKES_MS.
 */
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

  /** Takes one failure from the allowance of `name`. True: it is used up now, for the first time in a while. */
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

  /** Forgets the names that have regained everything or, if there are none, the one that has failed least. */
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
