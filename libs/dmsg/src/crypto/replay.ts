import { createHash } from 'node:crypto';
import { refused } from './handshake-block.ts';

/** A monotonic clock in milliseconds. */
export interface ReplayClock {
  now(): number;
}

export interface ReplayOptions {
  /** How long a handshake is remembered, in milliseconds. */
  readonly rememberMs: number;
  /** Most handshakes remembered; beyond it the oldest is forgotten. One takes about 150 bytes. */
  readonly limit: number;
}

/** A day of a peer that reconnects all the time, and 10 MB at most. */
export const REPLAY_DEFAULTS: ReplayOptions = { rememberMs: 24 * 3600 * 1000, limit: 65536 };

/**
 * Recent handshakes. Nothing in a handshake is fresh from its receiver, so that a recorded one can be played again with the stream after
 * it (protocol.md, "Crypto"): each peer's material is let in once. What is forgotten, by time, limit or a restart, can be played again.
 * Only those who have a peer's key can add to it, so nobody else can push others out.
 */
export class ReplayMemory {
  readonly #options: ReplayOptions;
  readonly #clock: ReplayClock;
  /** Hash of the material → when it came. In the order they came, which is the order of time. */
  readonly #seen = new Map<string, number>();

  constructor(options: ReplayOptions, deps: { readonly clock: ReplayClock }) {
    this.#options = options;
    this.#clock = deps.clock;
  }

  /** Handshakes remembered. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * Lets a peer's session material in, once.
   * @throws DmsgError KEYXCHGFAIL: it has been here before.
   */
  admit(session: Uint8Array): void {
    const now = this.#clock.now();
    this.#forget(now);
    // Hashed: the memory of this object gives no key away.
    const hash = createHash('sha256').update(session).digest('base64');
    if (this.#seen.has(hash)) throw refused('replay');
    this.#seen.set(hash, now);
    if (this.#seen.size > this.#options.limit) this.#seen.delete(this.#seen.keys().next().value!);
  }

  #forget(now: number): void {
    for (const [hash, came] of this.#seen) {
      if (now - came < this.#options.rememberMs) return;
      this.#seen.delete(hash);
    }
  }
}
