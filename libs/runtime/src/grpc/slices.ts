import { Turns } from '../shares/turns.ts';

/** Units of work in one turn of the event loop, of all jobs together: some milliseconds. */
export const UNITS_PER_TURN = 4096;

/**
 * Work that can be interrupted: each `yield` gives the number of units done since the one before (a unit: an object
 * visited or encoded, which takes one to a few microseconds). Data may have changed when the job is resumed. The part
 * after the last `yield` is not counted, and must be as small as the others.
 */
export type Job<T> = Generator<number, T, void>;

interface Running {
  /** Runs one step; true: the job is finished. */
  step(): boolean;
  units: number;
  readonly principal: string;
}

/**
 * Does long work in slices, with turns of the event loop in between, so that gateways are served whatever users ask
 * for. Principals take turns, and so do the jobs of each: a short job waits neither for a long one of its principal,
 * nor for all the jobs of others.
 */
export class Slices {
  /** Most units in one turn so far. */
  most = 0;
  readonly #perTurn: number;
  readonly #mayWork: () => boolean;
  readonly #jobs = new Turns<Running>();
  #scheduled = false;

  /** `mayWork`: asked at the beginning of each turn; false: no work is done in that turn. */
  constructor({ perTurn = UNITS_PER_TURN, mayWork = () => true }: { perTurn?: number; mayWork?: () => boolean } = {}) {
    this.#perTurn = perTurn;
    this.#mayWork = mayWork;
  }

  /** Jobs that are not finished. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Resolves with the job's result, rejects with its exception. `principal`: for whom the job runs. */
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

/** Runs the whole job at once: for work that must not be interrupted. */
export function runNow<T>(job: Job<T>): T {
  for (;;) {
    const result = job.next();
    if (result.done === true) return result.value;
  }
}
