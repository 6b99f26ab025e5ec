import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { LARGEST_WINDOW_BYTES, WINDOW_BYTES } from './limits.ts';
import type { Credit } from './messages.ts';

// Credits (architecture.md, "Trunk"). The receiver names a window for each connection of its own that routes lead to.
// Every message carries the name of the window that it is charged to, so that both sides count alike, even messages
// that are thrown away.

/** For messages that are charged to no window: the trunk's own, and answers in routes that are gone. */
export const FREE_WINDOW = 0;
/** For routes to a connection that is not known (yet): its messages count as consumed when they come. */
export const SHARED_WINDOW = 1;

/** A route that waits until its window, or the trunk's queue, has room. */
export interface Waiter {
  recheck(): void;
}

/** The sender's side of a window: counts the bytes on their way to one connection of the other gateway. */
export class OutWindow {
  readonly id: number;
  /** Bytes sent so far, and of these the bytes that the other side has consumed. */
  sent = 0;
  consumed = 0;
  #limit = WINDOW_BYTES;
  readonly waiting = new Set<Waiter>();

  constructor(id: number) {
    this.id = id;
  }

  /**
   * The window is used up. One message may overdraw it; messages that end a transaction are sent, and charged, in any
   * case.
   */
  get isShut(): boolean {
    return this.sent - this.consumed >= this.#limit;
  }

  /**
   * A CREDIT has come. `consumed`: bytes consumed so far, by the other side's count; `limit`: bytes that may be on
   * their way from now on. Counts that make no sense are ignored.
   */
  credited(consumed: number, limit: number): void {
    if (consumed <= this.consumed || consumed > this.sent) return;
    this.consumed = consumed;
    this.#limit = Math.max(WINDOW_BYTES, Math.min(limit, LARGEST_WINDOW_BYTES));
    if (!this.isShut) release(this.waiting);
  }

  /** The other side has closed the window: nothing waits for it any more. */
  open(): void {
    this.consumed = Number.POSITIVE_INFINITY;
    release(this.waiting);
  }
}

/** The connection that the messages of a window are passed on to. */
export interface Drain extends Pressure {
  /** Bytes queued for the connection. */
  readonly queuedBytes: number;
}

/**
 * The receiver's side of a window: counts the bytes that have come for one connection of ours. A credit is returned
 * after each half of the smallest window, but not while the connection's pressure is high. While the connection keeps
 * up, the window doubles with each credit, so that even a long distance between the gateways can be filled. When it
 * does not, the window is small again, because the bytes on their way must then be kept here.
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

  /**
   * `drain` null: bytes count as consumed when they come. `share`: returns the largest limit that the window may have.
   */
  constructor(id: number, drain: Drain | null, share: () => number, tell: (credit: Credit) => void) {
    this.id = id;
    this.#drain = drain;
    this.#share = share;
    this.#tell = tell;
  }

  /** A message has come and was passed on. */
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

  /** The last route to the connection has ended: closes the window. */
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

/** Makes all waiting routes check again whether they may send; they may have to go on waiting. */
export function release(waiting: Set<Waiter>): void {
  if (waiting.size === 0) return;
  const all = [...waiting];
  waiting.clear();
  for (const waiter of all) waiter.recheck();
}
