import type { Frame } from '@spanmesh/dmsg/frame';
import type { TrafficCounts } from '../connection/traffic-counts.ts';

/** Messages that were passed on one way. */
export class Passed {
  messages = 0;
  bytes = 0;

  /** One with as many bytes (`bytesOf`), which is passed on. */
  add(bytes: number): void {
    this.messages++;
    this.bytes += bytes;
  }
}

/** What a message is counted as: header, extension and aux data with their padding. To be read before the frame is passed on. */
export function bytesOf(frame: Frame): number {
  return frame.headBytes + frame.auxPadded;
}

/** Counts what a gateway passes on by one kind of way: plain numbers, and no more of them however many routes there are. */
export class RouteClass {
  readonly in: Passed;
  readonly out: Passed;
  /** Transactions of the class that were opened so far. */
  #opened = 0;
  /** Halves of them that are in the table of a connection or trunk. */
  #halves = 0;
  readonly #halvesEach: 1 | 2;

  /** `in` and `out` are the same where both ends are alike. `halvesEach`: 2 for joined transactions, 1 for those that end here. */
  constructor(halvesEach: 1 | 2, passedIn: Passed = new Passed(), passedOut: Passed = passedIn) {
    this.#halvesEach = halvesEach;
    this.in = passedIn;
    this.out = passedOut;
  }

  /** A transaction of the class is open. */
  opened(): void {
    this.#opened++;
    this.#halves += this.#halvesEach;
  }

  /** One half of one is over, in both directions. */
  halfGone(): void {
    this.#halves--;
  }

  /** `ageMs`: for how long it has been counted. */
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
  /** Between two peers of this gateway. */
  readonly local = new RouteClass(2);
  /** Between a peer of this gateway and another gateway; out: to the other gateway. */
  readonly trunk = new RouteClass(2, new Passed(), new Passed());
  /** Between a peer and a client of this gateway; out: from the client. */
  readonly client = new RouteClass(1, new Passed(), new Passed());
}
