import type { EndingJob } from './transaction.ts';

/** Something that ends in slices, and whoever comes first goes on with. */
interface Ending {
  readonly steps: EndingJob;
  /** A step is being done at this moment. */
  isStepping: boolean;
}

/** What is ending in slices, side by side: whoever waits for it goes on with it himself. */
export class SharedEndings {
  /** Those that are not over. */
  size = 0;
  /** Made for the first: most endpoints, and most LNK_CONNs, never have any. */
  #endings: Set<Ending> | null = null;

  /** Takes one; somebody must go on with what is returned. */
  begin(steps: EndingJob): EndingJob {
    const ending = { steps, isStepping: false };
    this.#endings ??= new Set();
    this.#endings.add(ending);
    this.size++;
    return this.#goOn(ending);
  }

  /** All that is ending now, and what begins to meanwhile. */
  *settling(): EndingJob {
    for (const ending of this.#endings ?? []) yield* this.#goOn(ending);
  }

  /** A slice of each, the oldest first, until that is enough. */
  step(isEnough: () => boolean): void {
    for (const ending of this.#endings ?? []) {
      this.#step(ending);
      if (isEnough()) return;
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
