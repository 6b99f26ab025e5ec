import type { Requester } from './requester.ts';

/** Time between two bursts of requests, in milliseconds. */
const TICK_MS = 20;
/** Longest pause of a busy process that is made up for, in milliseconds: a longer burst would keep it busy. */
export const MAX_LAG_MS = 200;

export interface LoadOptions {
  /** Transactions that each peer runs, per second. */
  readonly ratePerPeer: number;
}

export interface LoadDependencies {
  readonly requesters: readonly Requester[];
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Lets requesters run transactions in turn, at a rate. */
export class Load {
  readonly #options: LoadOptions;
  readonly #deps: LoadDependencies;
  #timer: NodeJS.Timeout | null = null;
  #last = 0;
  /** Transactions that are due but not run yet; may be a fraction. */
  #due = 0;
  #next = 0;

  constructor(options: LoadOptions, deps: LoadDependencies) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    this.#last = this.#deps.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #tick(): void {
    const { requesters, now } = this.#deps;
    const at = now();
    const ms = Math.min(at - this.#last, MAX_LAG_MS);
    this.#last = at;
    for (const requester of requesters) requester.expire();
    this.#due += (ms / 1000) * this.#options.ratePerPeer * requesters.length;
    for (; this.#due >= 1; this.#due--) {
      requesters[this.#next]?.run();
      this.#next = (this.#next + 1) % requesters.length;
    }
  }
}
