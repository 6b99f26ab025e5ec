import type { EndingJob } from './transaction.ts';

/** Something that ends in slices, and whoever comes first goes on with. */
interface Ending {
  /** They are numbered as they begin. */
  readonly number: number;
  readonly steps: EndingJob;
  /** A step is being done at this moment. */
  isStepping: boolean;
}

/** What is ending in slices, side by side: whoever waits for it goes on with it himself. */
export class SharedEndings {
  /** Those that are not over. */
  size = 0;
  /** Number of the latest. */
  #latest = 0;
  /** Made for the first: most endpoints, and most LNK_CONNs, never have any. */
  #endings: Set<Ending> | null = null;

  /** Takes one; somebody must go on with what is returned. */
  begin(steps: EndingJob): EndingJob {
    const ending = { number: ++this.#latest, steps, isStepping: false };
    this.#endings ??= new Set();
    this.#endings.add(ending);
    this.size++;
    return this.#goOn(ending);
  }

  /** All that is ending at this call; what begins to later is not waited for. */
  settling(): EndingJob {
    return this.#upTo(this.#latest);
  }

  /** A slice of each, the oldest first, until that is enough. */
  step(isEnough: () => boolean): void {
    for (const ending of this.#endings ?? []) {
      this.#step(ending);
      if (isEnough()) return;
    }
  }

  *#upTo(latest: number): EndingJob {
    for (const ending of this.#endings ?? []) {
      if (ending.number > latest) return;
      yield* this.#goOn(ending);
    }
  }

  *#goOn(ending: Ending): EndingJob {
    for (let units = this.#step(ending); units > 0; units = this.#step(ending)) yield units;
  }

  /** Units done; 0: it is over, or in the middle of a step. */
  #step(ending: Ending): number {
    if (ending.isStepping || this.#endings?.has(ending) !== true) return 0;
    let isOver = true;
    ending.isStepping = true;
    try {
      const step = ending.steps.next();
      if (step.done === true) return 0;
      isOver = false;
      return step.value;
    } finally {
      ending.isStepping = false;
      if (isOver) {
        this.#endings?.delete(ending);
        this.size--;
      }
    }
  }
}
