import { type Clock, systemClock } from '@spanmesh/runtime/clock';
import { Turn } from '@spanmesh/runtime/turn';
import type { Pressure } from './pressure.ts';

/**
 * A turn of the event loop in which at least this many connections are read counts as crowded. Several reads of one
 * connection that follow each other are one: a few busy connections are no crowd.
 */
const CROWDED_READERS = 8;
/** While turns are not crowded, only one turn in this many reads is counted; and the clock is read once in as many. */
const LOOK_EVERY = 64;
/**
 * A turn of the event loop that has read for longer is a long one, ms. The library of the event loop goes on reading as
 * long as a thousand sockets have something: with many thousands of busy connections, for seconds.
 */
const LONG_TURN_MS = 100;

export interface FlowDependencies {
  readonly clock: Pick<Clock, 'now'>;
  /** Called between two reads each time that this turn has become longer by LONG_TURN_MS. */
  readonly longTurn: () => void;
}

/** A connection that is being read. */
export interface Reader {
  /** Stops reading until `destination` is low again. */
  pauseFor(destination: Pressure): void;
}

/** A connection that is written to. */
export interface Destination extends Pressure {
  /** Hands the socket what is queued. */
  flush(): void;
}

/**
 * Back-pressure (architecture.md): notes where the messages of one read go. At the end of the read it pauses the
 * connection that was read if one of those places is high. DMSG has no flow control of its own, so the source as a
 * whole waits. It also decides when they are written. Usually that is at the end of the read, directly out of the
 * memory that was read into, so that a single transaction waits for nothing. In a crowded turn of the event loop, in
 * which many connections are read (a thousand leafs that ask one node), a place that has been written to in this turn
 * gets copies of the further messages, written together at the end of the turn: two writes instead of one for each
 * read.
 */
export class Flow {
  /**
   * Number of the read that is going on, 0 between reads. Code that notes something once for each read compares this
   * number with the one that it noted last.
   */
  read = 0;
  /** Number of this turn if it counts as crowded, because the last counted turn was. 0: it does not. */
  crowdedTurn = 0;

  #lastRead = 0;
  readonly #destinations: Destination[] = [];
  readonly #copied: Destination[] = [];
  readonly #pressures: Pressure[] = [];
  /** Destinations with copied messages, flushed at the end of the turn. */
  readonly #held = new Set<Destination>();
  readonly #turn = new Turn(() => this.#turnOver());
  #lastTurn = 0;
  /** Readers counted in this turn, and the last of them. */
  #readersOfTurn = 0;
  #lastReader: Reader | null = null;
  /** Reads since the end of the last counted turn. */
  #unlooked = 0;
  readonly #deps: FlowDependencies;
  /** Reads since the clock was read. */
  #unclocked = 0;
  /** When the clock was first read in this turn, or the turn was last called long, ms; -1: neither yet. */
  #since = -1;

  constructor({ clock = systemClock, longTurn = () => {} }: Partial<FlowDependencies> = {}) {
    this.#deps = { clock, longTurn };
  }

  /** The reader's bytes are about to be taken in. */
  begin(reader: Reader): void {
    if (++this.#unclocked >= LOOK_EVERY) this.#lookAtClock();
    this.#lastRead = (this.#lastRead % Number.MAX_SAFE_INTEGER) + 1;
    this.read = this.#lastRead;
    if (this.crowdedTurn === 0 && ++this.#unlooked < LOOK_EVERY) return;
    if (reader !== this.#lastReader) {
      this.#lastReader = reader;
      this.#readersOfTurn++;
    }
    this.#turn.request();
  }

  /**
   * A message of this read was passed on to the connection, and must be written before the next read overwrites it.
   * Call once for each read and destination.
   */
  sentTo(destination: Destination): void {
    this.#destinations.push(destination);
  }

  /**
   * A message of this read was copied for the connection, and may wait for the end of the turn. Call once for each read
   * and destination.
   */
  copiedTo(destination: Destination): void {
    this.#copied.push(destination);
  }

  /** A message was passed on to another gateway, or to a client in this process, and waits there. */
  sentInto(pressure: Pressure): void {
    // Only the last place is deduplicated; duplicates are harmless.
    if (this.#pressures[this.#pressures.length - 1] !== pressure) this.#pressures.push(pressure);
  }

  /** The read is over: writes what it passed on, and pauses the reader for places that are high. */
  end(reader: Reader): void {
    this.read = 0;
    for (const destination of this.#destinations) {
      destination.flush();
      if (destination.isHigh) reader.pauseFor(destination);
    }
    this.#destinations.length = 0;
    if (this.#copied.length > 0) this.#endCopied(reader);
    if (this.#pressures.length === 0) return;
    for (const pressure of this.#pressures) if (pressure.isHigh) reader.pauseFor(pressure);
    this.#pressures.length = 0;
  }

  #lookAtClock(): void {
    this.#unclocked = 0;
    const now = this.#deps.clock.now();
    if (this.#since === -1) {
      this.#since = now;
      this.#turn.request();
    } else if (now - this.#since >= LONG_TURN_MS) {
      this.#since = now;
      this.#deps.longTurn();
    }
  }

  #endCopied(reader: Reader): void {
    for (const destination of this.#copied) {
      if (!destination.isHigh) {
        this.#held.add(destination);
        continue;
      }
      destination.flush();
      if (destination.isHigh) reader.pauseFor(destination);
    }
    this.#copied.length = 0;
  }

  #turnOver(): void {
    for (const destination of this.#held) destination.flush();
    this.#held.clear();
    this.crowdedTurn = this.#readersOfTurn >= CROWDED_READERS ? ++this.#lastTurn : 0;
    this.#readersOfTurn = 0;
    this.#lastReader = null;
    this.#unlooked = 0;
    this.#since = -1;
  }
}
