import type { Pressure } from './pressure.ts';

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
 */
export class Flow {
  /** Number of the read that is going on; what is noted once a read compares it. 0: none. */
  read = 0;

  #lastRead = 0;
  readonly #destinations: Destination[] = [];
  readonly #pressures: Pressure[] = [];

  /** A connection's bytes are about to be taken in. */
  begin(): void {
    this.#lastRead = (this.#lastRead % Number.MAX_SAFE_INTEGER) + 1;
    this.read = this.#lastRead;
  }

  /** Something was passed on to a connection; call once a read and connection. */
  sentTo(destination: Destination): void {
    this.#destinations.push(destination);
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
    if (this.#pressures.length === 0) return;
    for (const pressure of this.#pressures) if (pressure.isHigh) reader.pauseFor(pressure);
    this.#pressures.length = 0;
  }
}
