import { Turn } from '@spanmesh/runtime/turn';
import type { Pressure } from './pressure.ts';

/** Reads in a turn of the event loop from which on it counts as crowded. */
const CROWDED_READS = 8;
/** While turns are not crowded: reads from one look at a turn to the next. */
const LOOK_EVERY = 64;

/** A connection that is being read. */
export interface Reader {
  /** Reads no more until this is low again. */
  pauseFor(destination: Pressure): void;
}

/** A connection that is written to. */
export interface Destination extends Pressure {
  /** Hands the socket what is queued. */
  flush(): void;
}

/**
 * Back-pressure (architecture.md): notes where the messages of one read go, and at its end pauses the connection that was read if
 * one of those places lags. DMSG has no flow control of its own, so the whole source waits.
 *
 * And when they are written: at the end of the read, out of the memory that was read into, so that one transaction at a time waits for
 * nothing. In a crowded turn of the event loop, when many connections are read (a thousand leafs that ask one node), a place that was written
 * to already gets copies of the rest, which are written at the end of the turn: two writes instead of one for each read.
 */
export class Flow {
  /** Number of the read that is going on; what is noted once a read compares it. 0: none. */
  read = 0;
  /** Number of the turn, if it is crowded. 0: it is not, or that is not known yet. */
  crowdedTurn = 0;

  #lastRead = 0;
  readonly #destinations: Destination[] = [];
  readonly #copied: Destination[] = [];
  readonly #pressures: Pressure[] = [];
  /** Written at the end of the turn. */
  readonly #held = new Set<Destination>();
  readonly #turn = new Turn(() => this.#turnOver());
  #lastTurn = 0;
  /** Reads of the turn that is looked at. */
  #readsOfTurn = 0;
  /** Reads since the last turn that was looked at. */
  #unlooked = 0;

  /** A connection's bytes are about to be taken in. */
  begin(): void {
    this.#lastRead = (this.#lastRead % Number.MAX_SAFE_INTEGER) + 1;
    this.read = this.#lastRead;
    if (this.crowdedTurn === 0 && ++this.#unlooked < LOOK_EVERY) return;
    this.#readsOfTurn++;
    this.#turn.request();
  }

  /** Something was passed on to a connection, which must leave before the next read; call once a read and connection. */
  sentTo(destination: Destination): void {
    this.#destinations.push(destination);
  }

  /** Something was copied to a connection, and may wait for the end of the turn; likewise. */
  copiedTo(destination: Destination): void {
    this.#copied.push(destination);
  }

  /** Something was passed on to another gateway, or to a client in this process: it waits there. */
  sentInto(pressure: Pressure): void {
    // Only the last place is deduplicated; duplicates are harmless.
    if (this.#pressures[this.#pressures.length - 1] !== pressure) this.#pressures.push(pressure);
  }

  /** The read is over. */
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
    this.crowdedTurn = this.#readsOfTurn >= CROWDED_READS ? ++this.#lastTurn : 0;
    this.#readsOfTurn = 0;
    this.#unlooked = 0;
  }
}
