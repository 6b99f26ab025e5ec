import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { Turns } from '@spanmesh/runtime/shares/turns';
import { Turn } from '@spanmesh/runtime/turn';
import { REPORTS_HIGH_BYTES, REPORTS_LOW_BYTES, RESUMED_PER_TURN } from '../shares/limits.ts';

/**
 * Back-pressure of the Attach stream: while many changes wait for topology to take them in, connections that bring more
 * are not read. Afterwards they are read again, principals taking turns: a principal with few changes waits for one
 * turn, not for all changes of the others.
 */
export class ReportPressure implements Pressure {
  /** Changes reported so far: a connection whose read does not raise this has brought none, and is read on. */
  reported = 0;
  readonly #bytes: () => number;
  readonly #waiting = new Turns<() => void>();
  readonly #turn = new Turn(() => this.#resume());

  /** `bytes`: of the changes that wait for topology; 0 while no leader listens. */
  constructor(bytes: () => number) {
    this.#bytes = bytes;
  }

  get isHigh(): boolean {
    return this.#bytes() > REPORTS_HIGH_BYTES;
  }

  /** Connections that are not read until topology has taken in what waits. */
  get waiting(): number {
    return this.#waiting.size;
  }

  onceLow(fn: () => void, principal = ''): void {
    this.#waiting.add(principal, fn);
  }

  /** Fewer bytes wait than before. */
  eased(): void {
    if (this.#waiting.size > 0 && this.#bytes() <= REPORTS_LOW_BYTES) this.#turn.request();
  }

  /** Lets a few connections be read again in each turn of the event loop: what they bring comes after that turn. */
  #resume(): void {
    for (let i = 0; i < RESUMED_PER_TURN && this.#bytes() <= REPORTS_LOW_BYTES; i++) {
      const next = this.#waiting.take();
      if (next === undefined) return;
      next();
    }
    this.eased();
  }
}
