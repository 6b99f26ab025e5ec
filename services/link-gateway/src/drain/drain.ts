import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { CloseReason } from '../connection/close-reason.ts';
import { DRAIN_CLOSES_PER_SECOND, HURRIED_DRAIN_MS } from '../limits.ts';
import type { Peer } from '../peers/peer.ts';
import { hasRouted } from '../routing/in-progress.ts';
import type { OrderlyClose } from './orderly-close.ts';

/** Time between two batches of closes, in milliseconds. */
const STEP_MS = 20;
/** How often connections with transactions in progress are looked at again, in milliseconds. */
export const LOOK_MS = 100;
/** Milliseconds of the deadline that are kept for peers to answer and close; at most half of the deadline. */
const CLOSING_MS = 2000;

export interface DrainOptions {
  readonly reason: CloseReason;
  /** The reason, a sentence for people. */
  readonly why: string;
  /** Milliseconds after which connections that are left are cut off. */
  readonly deadlineMs: number;
}

/** The grace: how long transactions may go on within a deadline, in milliseconds. */
export function graceOf(deadlineMs: number): number {
  return deadlineMs - Math.min(CLOSING_MS, deadlineMs / 2);
}

/**
 * Closes some connections in order, and spread over time: their peers connect to other gateways at once, and five
 * thousand handshakes in one millisecond would be a flood. Connections without a transaction in progress go first. The
 * others are closed as soon as their transactions have ended, and at the end of the grace in any case (transactions
 * then end with LOSTLINK). Connections that are left at the deadline are cut off.
 */
export class Drain {
  /** Resolves when the last connection is gone. */
  readonly done: Promise<void>;
  /** Connections that the drain began with. */
  readonly chosen: number;
  /** Connections that have ended in order, or that ended before their turn came. */
  closed = 0;
  /** Connections that were cut off. */
  cut = 0;

  readonly #options: DrainOptions;
  readonly #clock: Clock;
  readonly #orderly: OrderlyClose;
  readonly #finished = Promise.withResolvers<void>();
  /** Connections whose socket has not closed. */
  readonly #left: Set<Peer>;
  /** Connections whose close in order has begun. */
  readonly #begun = new Set<Peer>();
  /** Connections whose close has not begun: without, and with, a transaction in progress when last looked at. */
  #quiet: Peer[] = [];
  #busy: Peer[] = [];
  readonly #startedAt: number;
  #graceEnd: number;
  #deadlineAt: number;
  /** When connections with transactions in progress begin to be closed, too. */
  readonly #forceAt: number;
  /** Connections that are closed in one step: before `#forceAt`, and after it. */
  readonly #quota: number;
  #forcedQuota = 0;
  #lookedAt: number;
  #step: Timer | null = null;
  #deadline: Timer | null = null;

  constructor(
    peers: Iterable<Peer>,
    options: DrainOptions,
    deps: { readonly clock: Clock; readonly orderly: OrderlyClose },
  ) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#orderly = deps.orderly;
    this.done = this.#finished.promise;
    this.#left = new Set(peers);
    this.chosen = this.#left.size;
    for (const peer of this.#left) (hasRouted(peer) ? this.#busy : this.#quiet).push(peer);
    // Taken from the end.
    this.#quiet.reverse();
    this.#busy.reverse();
    const graceMs = graceOf(options.deadlineMs);
    const spreadMs = Math.min((this.chosen * 1000) / DRAIN_CLOSES_PER_SECOND, graceMs / 2);
    this.#startedAt = deps.clock.now();
    this.#lookedAt = this.#startedAt;
    this.#graceEnd = this.#startedAt + graceMs;
    this.#deadlineAt = this.#startedAt + options.deadlineMs;
    this.#forceAt = this.#graceEnd - spreadMs;
    const pace = (DRAIN_CLOSES_PER_SECOND * STEP_MS) / 1000;
    const steps = Math.max(1, (graceMs - spreadMs) / STEP_MS);
    this.#quota = Math.ceil(Math.max(pace, this.chosen / steps));
  }

  /** Connections with transactions in progress whose close has not begun. */
  get busy(): number {
    return this.#busy.length;
  }

  /** Milliseconds since the drain was made. */
  get tookMs(): number {
    return this.#clock.now() - this.#startedAt;
  }

  start(): void {
    if (this.#left.size === 0) {
      this.#finished.resolve();
      return;
    }
    this.#armDeadline();
    this.#run();
  }

  /** Ends the grace, and leaves HURRIED_DRAIN_MS until the deadline. */
  hurry(): void {
    const now = this.#clock.now();
    this.#graceEnd = Math.min(this.#graceEnd, now);
    this.#deadlineAt = Math.min(this.#deadlineAt, now + HURRIED_DRAIN_MS);
    if (this.#left.size === 0) return;
    this.#armDeadline();
    this.#run();
  }

  /** A connection's socket has closed. True if the connection was one of this drain's. */
  gone(peer: Peer): boolean {
    if (!this.#left.delete(peer)) return false;
    const begun = this.#begun.delete(peer);
    if (peer.connection.peerEnded || !begun) this.closed++;
    else this.cut++;
    if (this.#left.size === 0) {
      // A drain that has ended is remembered, its connections are not.
      this.#quiet = [];
      this.#busy = [];
      this.#step?.cancel();
      this.#deadline?.cancel();
      this.#finished.resolve();
    }
    return true;
  }

  #armDeadline(): void {
    this.#deadline?.cancel();
    this.#deadline = this.#clock.after(this.#deadlineAt - this.#clock.now(), () => {
      for (const peer of [...this.#left]) {
        this.#begun.add(peer);
        peer.connection.abandon(this.#options.reason);
      }
    });
  }

  #run(): void {
    this.#step?.cancel();
    this.#step = null;
    const now = this.#clock.now();
    if (now >= this.#forceAt || now >= this.#graceEnd) this.#force(now);
    else this.#closeQuiet(now);
    if (this.#quiet.length + this.#busy.length === 0) return;
    this.#step = this.#clock.after(STEP_MS, () => this.#run());
  }

  #closeQuiet(now: number): void {
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      const busy = this.#busy;
      this.#busy = [];
      for (const peer of busy) (hasRouted(peer) ? this.#busy : this.#quiet).push(peer);
    }
    for (let quota = this.#quota; quota > 0 && this.#quiet.length > 0; ) {
      const peer = this.#quiet.pop();
      if (peer === undefined || !this.#left.has(peer)) continue;
      if (hasRouted(peer)) {
        this.#busy.push(peer);
      } else {
        this.#begin(peer, now);
        quota--;
      }
    }
  }

  /** The grace is nearly over: begins to close connections so fast that none is left at its end. */
  #force(now: number): void {
    const waiting = this.#quiet.length + this.#busy.length;
    if (this.#forcedQuota === 0) {
      this.#forcedQuota = Math.ceil(waiting / Math.max(1, (this.#graceEnd - now) / STEP_MS));
    }
    for (let quota = now >= this.#graceEnd ? waiting : this.#forcedQuota; quota > 0; ) {
      const peer = this.#quiet.pop() ?? this.#busy.pop();
      if (peer === undefined) return;
      if (!this.#left.has(peer)) continue;
      this.#begin(peer, now);
      quota--;
    }
  }

  #begin(peer: Peer, now: number): void {
    const { reason, why } = this.#options;
    if (peer.connection.isOpen) this.#begun.add(peer);
    this.#orderly.begin(peer, { reason, why, lingerMs: Math.max(0, this.#deadlineAt - now) });
  }
}
