import type { Job } from '@spanmesh/runtime/grpc/slices';
import { Turns } from '@spanmesh/runtime/shares/turns';
import { Turn } from '@spanmesh/runtime/turn';
import { WorkList } from '@spanmesh/runtime/work-list';
import { ENDED_PER_TURN } from './limits.ts';

export interface EndingsOptions {
  /** Units of work in a turn of the event loop; default: ENDED_PER_TURN. */
  readonly perTurn?: number;
}

export interface EndingsDependencies {
  /** Told what a job has thrown in a later turn; what it throws at once is thrown. Either way it is over. */
  readonly failed: (error: unknown) => void;
}

interface Waiting {
  readonly principal: string;
  readonly job: Job<void>;
}

/**
 * What ends because something else has: the relays of a link, all that is on a connection. That something has ended is so at once, for
 * everybody who looks at it; what is still to be said and taken out of tables is a job, done at once as far as a turn goes. The rest is
 * done in slices, principals taking turns: who loses little does not wait for one who loses much. Jobs do not depend on each other's order.
 */
export class Endings {
  readonly #perTurn: number;
  readonly #failed: (error: unknown) => void;
  readonly #waiting = new Turns<Waiting>();
  readonly #work: WorkList;
  readonly #turn = new Turn(() => {
    this.#spent = 0;
  });
  /** Units done at once in this turn. */
  #spent = 0;

  constructor({ perTurn = ENDED_PER_TURN }: EndingsOptions, { failed }: EndingsDependencies) {
    this.#perTurn = perTurn;
    this.#failed = failed;
    this.#work = new WorkList({ perTurn });
  }

  /** Jobs that are not over. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Does the job as far as it goes in this turn, the rest later. `principal`: whose things they are that end. */
  run(principal: string, job: Job<void>): void {
    this.#turn.request();
    while (this.#spent < this.#perTurn) {
      const { done, value } = job.next();
      this.#spent += done === true ? 1 : value;
      if (done === true) return;
    }
    this.#waiting.add(principal, { principal, job });
    if (!this.#work.isBusy) this.#work.run(this.#rest());
  }

  /** Calls at once, or as soon as nothing is left to be done. */
  whenIdle(fn: () => void): void {
    this.#work.whenIdle(fn);
  }

  *#rest(): Job<void> {
    // Nothing more in this turn.
    yield this.#perTurn;
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) yield this.#step(next);
  }

  /** Units done. */
  #step(waiting: Waiting): number {
    const { principal, job } = waiting;
    try {
      const { done, value } = job.next();
      if (done === true) return 1;
      this.#waiting.add(principal, waiting);
      return value;
    } catch (error) {
      this.#failed(error);
      return 1;
    }
  }
}
