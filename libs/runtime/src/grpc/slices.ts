import { Turns } from '../shares/turns.ts';

/** Units of work in a turn of the event loop, of all jobs together: some milliseconds. */
export const UNITS_PER_TURN = 4096;

/**
 * A piece of work that can be interrupted: each `yield` says how many units were done since the one before (a unit: an object looked at, or
 * put into words; one to a few microseconds). What it works on may have changed when it goes on. Its last piece is not counted: it is
 * to be as small as the others.
 */
export type Job<T> = Generator<number, T, void>;

interface Running {
  /** One step; true: it is over. */
  step(): boolean;
  units: number;
  readonly principal: string;
}

/**
 * Does long work in slices, with turns of the event loop in between, so that whatever users ask for, gateways are served. Principals take
 * turns, and so do the jobs of each: a short one does not wait for a long one to be over, nor for all that others have asked.
 */
export class Slices {
  /** Most units in one turn so far. */
  most = 0;
  readonly #perTurn: number;
  readonly #mayWork: () => boolean;
  readonly #jobs = new Turns<Running>();
  #scheduled = false;

  /** `mayWork`: asked at the beginning of each turn; if it says no, nothing is done in that turn. */
  constructor({ perTurn = UNITS_PER_TURN, mayWork = () => true }: { perTurn?: number; mayWork?: () => boolean } = {}) {
    this.#perTurn = perTurn;
    this.#mayWork = mayWork;
  }

  /** Jobs that are not over. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Resolves with what the job returns, rejects with what it throws. `principal`: who waits for it. */
  run<T>(job: Job<T>, principal = ''): Promise<T> {
    return new Promise((resolve, reject) => {
      const running: Running = {
        principal,
        units: 0,
        step: () => {
          try {
            const result = job.next();
            running.units = result.done === true ? 1 : result.value;
            if (result.done === true) resolve(result.value);
            return result.done === true;
          } catch (error) {
            reject(error as Error);
            return true;
          }
        },
      };
      this.#jobs.add(principal, running);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    let units = 0;
    while (units < this.#perTurn && this.#mayWork()) {
      const job = this.#jobs.take();
      if (job === undefined) break;
      if (!job.step()) this.#jobs.add(job.principal, job);
      units += job.units;
    }
    this.most = Math.max(this.most, units);
    if (this.#jobs.size > 0) this.#schedule();
  }
}

/** The whole job at once: for what must not be interrupted. */
export function runNow<T>(job: Job<T>): T {
  for (;;) {
    const result = job.next();
    if (result.done === true) return result.value;
  }
}
