import { createHash } from 'node:crypto';
import { refused } from './handshake-block.ts';

/** A monotonic clock in milliseconds. */
export interface ReplayClock {
  now(): number;
}

export interface ReplayOptions {
  /** How long a handshake is remembered, in milliseconds. */
  readonly rememberMs: number;
  /** Most handshakes remembered; beyond it the oldest is forgotten of the key that has most. One takes 170 bytes (measured). */
  readonly limit: number;
}

/** A day of a peer that reconnects all the time, and 11 MB at most. */
export const REPLAY_DEFAULTS: ReplayOptions = { rememberMs: 24 * 3600 * 1000, limit: 65536 };

/** One that was let in. */
interface Seen {
  readonly principal: string;
  readonly came: number;
}

/**
 * Recent handshakes. Nothing in a handshake is fresh from its receiver, so that a recorded one can be played again with the stream after
 * it (protocol.md, "Crypto"): each peer's material is let in once. What is forgotten, by time, limit or a restart, can be played again.
 * Only those who have a peer's key can add to it, and who has added most forgets first: nobody pushes the handshakes of others out.
 */
export class ReplayMemory {
  readonly #options: ReplayOptions;
  readonly #clock: ReplayClock;
  /** By hash of the material, in the order they came, which is the order of time. */
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
   * Lets a peer's session material in, once. `principal`: whose it is, by the key that it was made with.
   * @throws DmsgError KEYXCHGFAIL: it has been here before.
   */
  admit(session: Uint8Array, principal = ''): void {
    const came = this.#clock.now();
    this.#forgetOld(came);
    // Hashed: the memory of this object gives no key away.
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

  /** Looks at all principals: a handshake that comes this far has cost a thousand times as much. */
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
