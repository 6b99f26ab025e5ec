import { Turns } from '@spanmesh/runtime/shares/turns';

/** Work that waits; `cancel` makes sure that it is not done. */
export interface Queued {
  cancel(): void;
}

interface Job extends Queued {
  run: (() => void) | null;
}

/**
 * Turns of the event loop for each piece of work. A listener accepts one connection a turn: with RSA in each of them a flood of
 * handshakes would leave newcomers in the backlog for many seconds. Turns without traffic take microseconds.
 */
export const TURNS_PER_JOB = 4;

/**
 * Does one piece of work every few turns of the event loop, so that sockets are served in between, and takes turns between addresses,
 * so that one with many does not keep another waiting. For RSA, which takes milliseconds and cannot be interrupted. What `run`
 * throws is an uncaught exception. The number of jobs is bounded by whoever adds them.
 */
export class FairQueue {
  /** Jobs by address. */
  readonly #waiting = new Turns<Job>();
  readonly #work = () => this.#next();
  #scheduled = false;
  /** Turns until the next piece of work. */
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
