import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { LARGEST_WINDOW_BYTES, WINDOW_BYTES } from './limits.ts';
import type { Credit } from './messages.ts';

// Credits (architecture.md, "Trunk"). The receiver names a window for each connection of its own that routes lead to; every
// message carries the name of the window that it is charged to, so that both sides count alike whatever becomes of it.

/** Charged to nobody: the trunk's own messages, and answers to what is gone. */
export const FREE_WINDOW = 0;
/** For what leads to a connection that is not known (yet): consumed as it comes. */
export const SHARED_WINDOW = 1;

/** Somebody who waits for a window or a queue. */
export interface Waiter {
  recheck(): void;
}

/** Sender's side: what is on its way to one connection of the other gateway. */
export class OutWindow {
  readonly id: number;
  /** Bytes ever. */
  sent = 0;
  consumed = 0;
  #limit = WINDOW_BYTES;
  readonly waiting = new Set<Waiter>();

  constructor(id: number) {
    this.id = id;
  }

  /** Used up. One message may overdraw it; ends are sent, and charged, in any case. */
  get isShut(): boolean {
    return this.sent - this.consumed >= this.#limit;
  }

  /** `consumed`: the other side's cumulative count; `limit`: what may be on its way from now on. */
  credited(consumed: number, limit: number): void {
    if (consumed <= this.consumed || consumed > this.sent) return;
    this.consumed = consumed;
    this.#limit = Math.max(WINDOW_BYTES, Math.min(limit, LARGEST_WINDOW_BYTES));
    if (!this.isShut) release(this.waiting);
  }

  /** The other side has let go of it: it holds nobody up any more. */
  open(): void {
    this.consumed = Number.POSITIVE_INFINITY;
    release(this.waiting);
  }
}

/** Where what comes in a window is sent on to. */
export interface Drain extends Pressure {
  /** Bytes that wait there. */
  readonly queuedBytes: number;
}

/**
 * Receiver's side: what has come for one connection of ours. Credit is returned by halves of the smallest window, and not while the
 * connection is full. While it keeps up the window doubles with each credit, so that the way between the gateways, however long it is,
 * can be filled; when it does not, the window is small again: what is on its way then has to be kept here.
 */
export class InWindow {
  readonly id: number;
  routes = 0;
  #limit = WINDOW_BYTES;
  readonly #drain: Drain | null;
  readonly #share: () => number;
  readonly #tell: (credit: Credit) => void;
  #received = 0;
  #told = 0;
  #waits = false;
  #isClosed = false;

  /** `drain` null: whatever comes is consumed at once. `share`: the largest limit that the window may have. */
  constructor(id: number, drain: Drain | null, share: () => number, tell: (credit: Credit) => void) {
    this.id = id;
    this.#drain = drain;
    this.#share = share;
    this.#tell = tell;
  }

  /** A message has come and was handed on. */
  received(bytes: number): void {
    this.#received += bytes;
    if (this.#waits || this.#received - this.#told < WINDOW_BYTES / 2) return;
    const drain = this.#drain;
    if (drain?.isHigh === true) {
      this.#waits = true;
      this.#limit = WINDOW_BYTES;
      drain.onceLow(() => {
        this.#waits = false;
        this.#consumed();
      });
      return;
    }
    const keepsUp = drain === null || drain.queuedBytes <= WINDOW_BYTES;
    this.#limit = Math.max(WINDOW_BYTES, Math.min(keepsUp ? 2 * this.#limit : this.#limit, this.#share()));
    this.#consumed();
  }

  /** No route leads there any more. */
  close(): void {
    this.#isClosed = true;
    this.#tell({ window: this.id, consumed: this.#received, limit: this.#limit, isClosed: true });
  }

  #consumed(): void {
    if (this.#isClosed) return;
    this.#told = this.#received;
    this.#tell({ window: this.id, consumed: this.#received, limit: this.#limit, isClosed: false });
  }
}

/** Tells all who wait that it may be over; they may wait again. */
export function release(waiting: Set<Waiter>): void {
  if (waiting.size === 0) return;
  const all = [...waiting];
  waiting.clear();
  for (const waiter of all) waiter.recheck();
}
