import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Pressure, Trunks } from './trunks.ts';

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

  readonly #trunks: Pick<Trunks, 'pressureOf'>;
  #lastRead = 0;
  #destinations: Destination[] = [];
  #routes: Transaction[] = [];
  #pressures: Pressure[] = [];

  constructor(trunks: Pick<Trunks, 'pressureOf'>) {
    this.#trunks = trunks;
  }

  /** A connection's bytes are about to be taken in. */
  begin(): void {
    this.#lastRead = (this.#lastRead % Number.MAX_SAFE_INTEGER) + 1;
    this.read = this.#lastRead;
  }

  /** Something was passed on to a connection; call once a read and connection. */
  sentTo(destination: Destination): void {
    this.#destinations.push(destination);
  }

  /** Something is passed on to another gateway: in a route transaction, or in one that is stacked on it. */
  sentOn(tx: Transaction): void {
    let route = tx;
    while (route.circuit !== null) route = route.circuit;
    // One route after the other, mostly: a few doubles do no harm.
    if (this.#routes[this.#routes.length - 1] !== route) this.#routes.push(route);
  }

  /** Something was delivered to whoever takes its messages in this process. */
  sentToClient(pressure: Pressure): void {
    this.#pressures.push(pressure);
  }

  /** The read is over. */
  end(reader: Reader): void {
    this.read = 0;
    for (const destination of this.#destinations) {
      destination.flush();
      if (destination.isHigh) reader.pauseFor(destination);
    }
    this.#destinations.length = 0;
    if (this.#routes.length > 0) this.#endOfRoutes(reader);
    if (this.#pressures.length > 0) {
      for (const pressure of this.#pressures) if (pressure.isHigh) reader.pauseFor(pressure);
      this.#pressures.length = 0;
    }
  }

  #endOfRoutes(reader: Reader): void {
    for (const route of this.#routes) {
      const pressure = this.#trunks.pressureOf(route);
      if (pressure.isHigh) reader.pauseFor(pressure);
    }
    this.#routes.length = 0;
  }
}
