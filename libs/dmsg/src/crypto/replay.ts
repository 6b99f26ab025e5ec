import { createHash } from 'node:crypto';
import { refused } from './handshake-block.ts';

/** A monotonic clock in milliseconds. */
export interface ReplayClock {
  now(): number;
}

export interface ReplayOptions {
  /** How long a handshake is remembered, in milliseconds. */
  readonly rememberMs: number;
  /**
   * Most handshakes remembered. At the limit, the oldest one of the principal that has most is forgotten. One takes 170
   * bytes (measured).
   */
  readonly limit: number;
}

/** Remembers a peer that reconnects all the time for a day, in 11 MB at most. */
export const REPLAY_DEFAULTS: ReplayOptions = { rememberMs: 24 * 3600 * 1000, limit: 65536 };

/** A handshake that was admitted. */
interface Seen {
  readonly principal: string;
  readonly came: number;
}

/**
 * Remembers recent handshakes and admits each only once. A handshake contains nothing fresh from its receiver, so a
 * recorded one could be played again with the stream after it (protocol.md, "Crypto"). One that is forgotten, by time,
 * limit or a restart, can be played again. Only a holder of a peer's key can add an entry, and at the limit the
 * principal with most entries loses one, so nobody pushes out the handshakes of others.
 */
export class ReplayMemory {
  readonly #options: ReplayOptions;
  readonly #clock: ReplayClock;
  /** By hash of the material, in order of arrival, which is the order of time. */
  readonly #seen = new Map<string, Seen>();
  /** Hashes by principal, in the same order. */
  readonly #of = new Map<string, Set<string>>();

  constructor(options: ReplayOptions, deps: { readonly clock: ReplayClock }) {
    this.#options = options;
    this.#clock = deps.clock;
  }

  /** Handshakes remembered. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * Admits a peer's session material, once. `principal`: whose it is, by the key that the handshake was made with.
   * @throws DmsgError KEYXCHGFAIL: it was admitted before.
   */
  admit(session: Uint8Array, principal = ''): void {
    const came = this.#clock.now();
    this.#forgetOld(came);
    // Only the hash is kept, so that the memory of this object gives no key away.
    const hash = createHash('sha256').update(session).digest('base64');
    if (this.#seen.has(hash)) throw refused('replay');
    this.#seen.set(hash, { principal, came });
    const known = this.#of.get(principal);
    if (known === undefined) this.#of.set(principal, new Set([hash]));
    else known.add(hash);
    if (this.#seen.size > this.#options.limit) this.#forgetOfMost(principal);
  }

  #forgetOld(now: number): void {
    for (const [hash, { principal, came }] of this.#seen) {
      if (now - came < this.#options.rememberMs) return;
      this.#forget(hash, principal);
    }
  }

  /**
   * Forgets the oldest handshake of the principal that has most. It looks at all principals: a handshake that gets here
   * has cost a thousand times as much.
   */
  #forgetOfMost(newcomer: string): void {
    let most = newcomer;
    let size = this.#of.get(newcomer)?.size ?? 0;
    for (const [principal, hashes] of this.#of) {
      if (hashes.size <= size) continue;
      most = principal;
      size = hashes.size;
    }
    for (const oldest of this.#of.get(most) ?? []) {
      this.#forget(oldest, most);
      return;
    }
  }

  #forget(hash: string, principal: string): void {
    this.#seen.delete(hash);
    const hashes = this.#of.get(principal);
    hashes?.delete(hash);
    if (hashes?.size === 0) this.#of.delete(principal);
  }
}
