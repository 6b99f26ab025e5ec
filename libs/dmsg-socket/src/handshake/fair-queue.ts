import { Turns } from '@spanmesh/runtime/shares/turns';

/** A job that waits; `cancel` prevents that it is run. */
export interface Queued {
  cancel(): void;
}

interface Job extends Queued {
  run: (() => void) | null;
}

/**
 * Turns of the event loop for each job. A listener accepts one connection a turn: with RSA in every turn, a flood of
 * handshakes would leave new connections in the backlog for many seconds. Turns without traffic take microseconds.
 */
export const TURNS_PER_JOB = 4;

/**
 * Runs one job every few turns of the event loop, so that sockets are served in between. It serves addresses in turn,
 * so that one with many jobs does not keep another waiting. It is for RSA, which takes milliseconds and cannot be
 * interrupted. An exception of `run` is uncaught. The code that adds jobs limits their number.
 */
export class FairQueue {
  /** Jobs by address. */
  readonly #waiting = new Turns<Job>();
  readonly #work = () => this.#next();
  #scheduled = false;
  /** Turns of the event loop until the next job is run. */
  #turns = 0;

  add(address: string, run: () => void): Queued {
    const job: Job = {
      run,
      cancel() {
        this.run = null;
      },
    };
    this.#waiting.add(address, job);
    this.#schedule();
    return job;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#work);
  }

  #next(): void {
    this.#scheduled = false;
    if (this.#turns > 0) {
      this.#turns--;
      this.#schedule();
      return;
    }
    this.#turns = TURNS_PER_JOB - 1;
    const run = this.#take();
    if (this.#waiting.size > 0) this.#schedule();
    run?.();
  }

  /** The next job that has not been cancelled; null: there is none. */
  #take(): (() => void) | null {
    for (let job = this.#waiting.take(); job !== undefined; job = this.#waiting.take()) {
      if (job.run !== null) return job.run;
    }
    return null;
  }
}
