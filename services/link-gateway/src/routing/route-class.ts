import type { Frame } from '@spanmesh/dmsg/frame';
import type { TrafficCounts } from '../connection/traffic-counts.ts';

/** Counts messages passed on in one direction. */
export class Passed {
  messages = 0;
  bytes = 0;

  /** Counts one message of this many bytes (`bytesOf`). */
  add(bytes: number): void {
    this.messages++;
    this.bytes += bytes;
  }
}

/**
 * Bytes that a message counts as: header, extension and padded aux data. Call it before the frame is passed on, which
 * may overwrite it.
 */
export function bytesOf(frame: Frame): number {
  return frame.headBytes + frame.auxPadded;
}

/**
 * Counts the messages and transactions of one class of routes. These are plain numbers, however many routes there are.
 */
export class RouteClass {
  readonly in: Passed;
  readonly out: Passed;
  /** Transactions of the class opened so far. */
  #opened = 0;
  /** Halves of these transactions that are still in the table of a connection or trunk. */
  #halves = 0;
  readonly #halvesEach: 1 | 2;

  /**
   * `halvesEach`: 2 for joined transactions, 1 for those that end at a client here. `in` and `out` are one counter
   * where the two ends are alike.
   */
  constructor(halvesEach: 1 | 2, passedIn: Passed = new Passed(), passedOut: Passed = passedIn) {
    this.#halvesEach = halvesEach;
    this.in = passedIn;
    this.out = passedOut;
  }

  /** A transaction of the class was opened. */
  opened(): void {
    this.#opened++;
    this.#halves += this.#halvesEach;
  }

  /** One half of a transaction is over in both directions. */
  halfGone(): void {
    this.#halves--;
  }

  /** The counts for the API. `ageMs`: how long the class has been counting. */
  traffic(ageMs: number): TrafficCounts {
    return {
      messagesIn: this.in.messages,
      messagesOut: this.out.messages,
      bytesIn: this.in.bytes,
      bytesOut: this.out.bytes,
      transactionsOpen: Math.ceil(this.#halves / this.#halvesEach),
      transactionsOpened: this.#opened,
      queueBytes: 0,
      pauses: 0,
      ageMs,
    };
  }
}

/** The classes of routes of one gateway (traffic.proto, TrafficCounters.id). */
export class RouteClasses {
  /** Routes between two peers of this gateway. */
  readonly local = new RouteClass(2);
  /** Routes between a peer of this gateway and another gateway; out: to the other gateway. */
  readonly trunk = new RouteClass(2, new Passed(), new Passed());
  /** Routes between a peer and a client of this gateway; out: from the client. */
  readonly client = new RouteClass(1, new Passed(), new Passed());
}
