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
/** What is kept of the deadline for peers to answer and close, in milliseconds; at most half of the deadline. */
const CLOSING_MS = 2000;

export interface DrainOptions {
  readonly reason: CloseReason;
  /** A sentence for people: why. */
  readonly why: string;
  /** In milliseconds: when it is over everything has ended, by a cut if need be. */
  readonly deadlineMs: number;
}

/** How long transactions may go on, of a deadline; milliseconds. */
export function graceOf(deadlineMs: number): number {
  return deadlineMs - Math.min(CLOSING_MS, deadlineMs / 2);
}

/**
 * Closes some connections in order, and spread over time: their peers come back at once, elsewhere, and five thousand handshakes in one
 * millisecond would be a flood. Connections without a transaction in progress go first. The others go as soon as theirs have ended, and
 * at the end of the grace whatever runs (then it is LOSTLINK). Who has not gone at the deadline is cut off.
 */
export class Drain {
  /** Resolves when the last connection is gone. */
  readonly done: Promise<void>;
  /** Connections that it began with. */
  readonly chosen: number;
  /** Those that have ended in order, or that their peers have ended before. */
  closed = 0;
  /** Those that were cut off. */
  cut = 0;

  readonly #options: DrainOptions;
  readonly #clock: Clock;
  readonly #orderly: OrderlyClose;
  readonly #finished = Promise.withResolvers<void>();
  /** Not gone yet. */
  readonly #left: Set<Peer>;
  /** Told to end. */
  readonly #begun = new Set<Peer>();
  /** Not told yet: those that had nothing in progress when last looked at, and those that had. */
  #quiet: Peer[] = [];
  #busy: Peer[] = [];
  readonly #startedAt: number;
  #graceEnd: number;
  #deadlineAt: number;
  /** When those with transactions in progress begin to be closed, too. */
  readonly #forceAt: number;
  /** Connections a step: before that time, and after it. */
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

  /** Those with transactions in progress that have not been told to end. */
  get busy(): number {
    return this.#busy.length;
  }

  /** Milliseconds since it was made. */
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

  /** No grace any more, and little time. */
  hurry(): void {
    const now = this.#clock.now();
    this.#graceEnd = Math.min(this.#graceEnd, now);
    this.#deadlineAt = Math.min(this.#deadlineAt, now + HURRIED_DRAIN_MS);
    if (this.#left.size === 0) return;
    this.#armDeadline();
    this.#run();
  }

  /** A connection's socket has closed. True if it was one of these. */
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

  /** The grace is nearly over: by its end all have been told. */
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
