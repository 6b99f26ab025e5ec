import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { Turns } from '@spanmesh/runtime/shares/turns';
import { Turn } from '@spanmesh/runtime/turn';
import { REPORTS_HIGH_BYTES, REPORTS_LOW_BYTES, RESUMED_PER_TURN } from '../shares/limits.ts';

/**
 * Back-pressure of the Attach stream: while topology does not take in what connections have brought, those that bring more are not read.
 * Once it has, principals take turns, so that whoever changes little waits for one turn and not for all that others have to say.
 */
export class ReportPressure implements Pressure {
  /** Changes so far: a connection that has brought none is read on. */
  reported = 0;
  readonly #bytes: () => number;
  readonly #waiting = new Turns<() => void>();
  readonly #turn = new Turn(() => this.#resume());

  /** `bytes`: of changes that wait; 0 while nobody listens. */
  constructor(bytes: () => number) {
    this.#bytes = bytes;
  }

  get isHigh(): boolean {
    return this.#bytes() > REPORTS_HIGH_BYTES;
  }

  /** Connections that are not read. */
  get waiting(): number {
    return this.#waiting.size;
  }

  onceLow(fn: () => void, principal = ''): void {
    this.#waiting.add(principal, fn);
  }

  /** Less waits than before. */
  eased(): void {
    if (this.#waiting.size > 0 && this.#bytes() <= REPORTS_LOW_BYTES) this.#turn.request();
  }

  /** A few in each turn of the event loop: what they have to say comes after it. */
  #resume(): void {
    for (let i = 0; i < RESUMED_PER_TURN && this.#bytes() <= REPORTS_LOW_BYTES; i++) {
      const next = this.#waiting.take();
      if (next === undefined) return;
      next();
    }
    this.eased();
  }
}
