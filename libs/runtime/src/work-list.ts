import { type Job, UNITS_PER_TURN } from './grpc/slices.ts';

export interface WorkListOptions {
  /** Units of work in one turn of the event loop; default: UNITS_PER_TURN. */
  readonly perTurn?: number;
}

export interface WorkListDependencies {
  /** Calls its argument in a later turn of the event loop; default: setImmediate. */
  readonly later?: (turn: () => void) => void;
  /** Called at the end of a turn if the work is not finished. */
  readonly onTurn?: () => void;
  /** Called when work that took more than one turn is finished. */
  readonly onIdle?: () => void;
}

/**
 * Changes of one state, made one after the other, so that each finds the state as the one before has left it. Short
 * work is done at once. Long work is done in slices, with turns of the event loop in between; other work waits
 * meanwhile, so nobody changes a state that is half changed.
 */
export class WorkList {
  /** Most units in one turn so far. */
  most = 0;
  readonly #perTurn: number;
  readonly #later: (turn: () => void) => void;
  readonly #onTurn: () => void;
  readonly #onIdle: () => void;
  /** Jobs in order; the first one is under way. */
  #jobs: Job<void>[] = [];
  /** Index of the next job; the ones before it are finished. */
  #next = 0;
  /** Whether a job is running at this very moment. */
  #isWorking = false;
  #isScheduled = false;
  /** Whether the work under way has taken more than a turn. */
  #isLong = false;
  #whenIdle: (() => void)[] = [];

  constructor(
    { perTurn = UNITS_PER_TURN }: WorkListOptions = {},
    { later = setImmediate, onTurn = () => {}, onIdle = () => {} }: WorkListDependencies = {},
  ) {
    this.#perTurn = perTurn;
    this.#later = (turn) => void later(turn);
    this.#onTurn = onTurn;
    this.#onIdle = onIdle;
  }

  /** Whether work is under way: then the state is half changed. */
  get isBusy(): boolean {
    return this.#jobs.length > 0;
  }

  /** Jobs that are not finished. */
  get size(): number {
    return this.#jobs.length - this.#next;
  }

  /**
   * Runs the job at once, up to a turn's work, if nothing is under way; otherwise after all earlier ones. An exception
   * of the job is thrown here if the job runs within this call, and is uncaught in a later turn.
   */
  run(job: Job<void>): void {
    this.#jobs.push(job);
    if (!this.#isWorking && !this.#isScheduled) this.#turn();
  }

  /** Does short work, of one unit, in its turn. */
  do(work: () => void): void {
    this.run(short(work));
  }

  /** Calls `fn` at once, or as soon as no work is under way. */
  whenIdle(fn: () => void): void {
    if (this.isBusy) this.#whenIdle.push(fn);
    else fn();
  }

  /**
   * Gives up the work under way, half done as it is, and the work that waits. A job that calls this goes on, and is
   * then the only one.
   */
  clear(): void {
    const kept = this.#isWorking ? this.#next + 1 : this.#next;
    for (const job of this.#jobs.splice(kept)) job.return();
    if (this.#isWorking) return;
    this.#jobs = [];
    this.#next = 0;
    this.#idle();
  }

  #turn(): void {
    let units = 0;
    this.#isWorking = true;
    try {
      while (units < this.#perTurn) {
        const job = this.#jobs[this.#next];
        if (job === undefined) break;
        units += this.#step(job);
      }
    } finally {
      this.#isWorking = false;
      this.most = Math.max(this.most, units);
      if (this.#next < this.#jobs.length) {
        this.#schedule();
        this.#onTurn();
      } else {
        this.#jobs = [];
        this.#next = 0;
        this.#idle();
      }
    }
  }

  #step(job: Job<void>): number {
    let isOver = true;
    try {
      const result = job.next();
      isOver = result.done === true;
      return result.done === true ? 1 : result.value;
    } finally {
      if (isOver) this.#next++;
    }
  }

  #schedule(): void {
    this.#isScheduled = true;
    this.#isLong = true;
    this.#later(() => {
      this.#isScheduled = false;
      this.#turn();
    });
  }

  #idle(): void {
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const fn of waiting) this.whenIdle(fn);
    if (!this.#isLong) return;
    this.#isLong = false;
    this.#onIdle();
  }
}

function* short(work: () => void): Job<void> {
  work();
  yield 0;
}
