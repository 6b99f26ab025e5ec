import { type Job, UNITS_PER_TURN } from './grpc/slices.ts';

export interface WorkListOptions {
  /** Units of work in a turn of the event loop; default: UNITS_PER_TURN. */
  readonly perTurn?: number;
}

export interface WorkListDependencies {
  /** Calls in a later turn of the event loop; default: setImmediate. */
  readonly later?: (turn: () => void) => void;
  /** Told at the end of a turn whose work is not over. */
  readonly onTurn?: () => void;
  /** Told when work is over that has taken more than a turn. */
  readonly onIdle?: () => void;
}

/**
 * Changes of one state, one after the other: each finds the state as the one before has left it. What is short is done at once. What is long
 * is done in slices, with turns of the event loop in between, and whatever comes meanwhile waits: nobody changes what is half done.
 */
export class WorkList {
  /** Most units in one turn so far. */
  most = 0;
  readonly #perTurn: number;
  readonly #later: (turn: () => void) => void;
  readonly #onTurn: () => void;
  readonly #onIdle: () => void;
  /** In order; the first one is under way. */
  #jobs: Job<void>[] = [];
  /** Index of the next piece of work; the ones before it are over. */
  #next = 0;
  /** A job is being done, in this very moment. */
  #isWorking = false;
  #isScheduled = false;
  /** The work under way has taken more than a turn. */
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

  /** Work is under way: what is read now is half done. */
  get isBusy(): boolean {
    return this.#jobs.length > 0;
  }

  /** Jobs that are not over. */
  get size(): number {
    return this.#jobs.length - this.#next;
  }

  /** At once, as far as a turn goes, if nothing is under way; otherwise after all that was asked for before. What it throws then is thrown. */
  run(job: Job<void>): void {
    this.#jobs.push(job);
    if (!this.#isWorking && !this.#isScheduled) this.#turn();
  }

  /** Does something short, of one unit, in its turn. */
  do(work: () => void): void {
    this.run(short(work));
  }

  /** Calls at once, or as soon as no work is under way. */
  whenIdle(fn: () => void): void {
    if (this.isBusy) this.#whenIdle.push(fn);
    else fn();
  }

  /** Gives up what is under way, half done as it is, and what waits. A job that calls this goes on, and is then the only one. */
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
    if (this.#isScheduled) return;
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
