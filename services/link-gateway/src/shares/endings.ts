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
  /**
   * Called with an error that a job has thrown in a later turn; an error in the first turn is thrown to the caller of
   * `run`. Either way the job is over.
   */
  readonly failed: (error: unknown) => void;
}

interface Waiting {
  readonly principal: string;
  readonly job: Job<void>;
}

/**
 * Does what follows when something ends: closing the relays of a link, telling and removing the transactions of a lost
 * connection. The thing itself counts as ended at once, for all code that looks at it. The rest is a job: it is done at
 * once up to the limit of a turn, and then in slices, principals taking turns, so that a principal that loses little
 * does not wait for one that loses much. Jobs must not depend on each other's order.
 */
export class Endings {
  readonly #perTurn: number;
  readonly #failed: (error: unknown) => void;
  readonly #waiting = new Turns<Waiting>();
  readonly #work: WorkList;
  readonly #turn = new Turn(() => {
    this.#spent = 0;
  });
  /** Units done in this turn by `run`. */
  #spent = 0;

  constructor({ perTurn = ENDED_PER_TURN }: EndingsOptions, { failed }: EndingsDependencies) {
    this.#perTurn = perTurn;
    this.#failed = failed;
    this.#work = new WorkList({ perTurn });
  }

  /** Number of jobs that are not over. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Does as much of the job as this turn has left, and the rest later. `principal`: owner of the things that end. */
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

  /** Calls `fn` at once, or as soon as no job is left. */
  whenIdle(fn: () => void): void {
    this.#work.whenIdle(fn);
  }

  *#rest(): Job<void> {
    // Uses up the turn: the jobs go on in the next one.
    yield this.#perTurn;
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) yield this.#step(next);
  }

  /** Does one slice of a job. Returns the units done. */
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
