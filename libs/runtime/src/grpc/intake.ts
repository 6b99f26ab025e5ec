import type { WorkList } from '../work-list.ts';
import type { Job } from './slices.ts';

/**
 * Messages of one stream that may wait for the work list; then the stream is paused. A gateway has at most four deltas
 * under way.
 */
export const MOST_WAITING = 8;

/** The methods by which a gRPC stream is paused and resumed. */
export interface PausableStream {
  pause(): unknown;
  resume(): unknown;
}

/**
 * The messages of one stream that change the state. Each waits for its turn in the work list, and the stream is paused
 * while many wait. If the work list is cleared (`WorkList.clear`), the streams must end.
 */
export class Intake {
  readonly #stream: PausableStream;
  readonly #work: WorkList;
  #waiting = 0;
  #isPaused = false;

  constructor(stream: PausableStream, work: WorkList) {
    this.#stream = stream;
    this.#work = work;
  }

  take(job: Job<void>): void {
    this.#waiting++;
    this.#work.run(this.#counted(job));
    if (this.#waiting < MOST_WAITING || this.#isPaused) return;
    this.#isPaused = true;
    this.#stream.pause();
  }

  *#counted(job: Job<void>): Job<void> {
    try {
      yield* job;
    } finally {
      this.#waiting--;
      if (this.#isPaused && this.#waiting === 0) {
        this.#isPaused = false;
        this.#stream.resume();
      }
    }
  }
}
