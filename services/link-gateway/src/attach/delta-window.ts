import { MAX_DELTAS_UNDER_WAY } from '../shares/limits.ts';

/**
 * Counts the deltas under way to the leader on one stream. A new change waits behind all of them, whichever peer it
 * comes from, so only a few are sent ahead. The rest waits in the reports, where connections that bring much are not
 * read.
 */
export class DeltaWindow {
  #isTold = false;
  #sent = 0;
  #taken = 0;

  /**
   * A stream begins. `isTold`: its leader tells what it has taken in (Taken); if not, only the stream's buffers are a
   * bound.
   */
  begin(isTold: boolean): void {
    this.#isTold = isTold;
    this.#sent = 0;
    this.#taken = 0;
  }

  /** Deltas that the leader has not taken in, as far as it has told; 0 while it tells nothing. */
  get underWay(): number {
    return this.#isTold ? this.#sent - this.#taken : 0;
  }

  /** No further delta may be sent until the leader has taken one in. */
  get isFull(): boolean {
    return this.underWay >= MAX_DELTAS_UNDER_WAY;
  }

  sent(): void {
    this.#sent++;
  }

  /** The leader has taken in so many deltas of this stream. True: the window was full and is not any more. */
  taken(deltas: number): boolean {
    const wasFull = this.isFull;
    // Not believed blindly: never fewer than before, nor more than were sent.
    this.#taken = Math.min(this.#sent, Math.max(this.#taken, deltas));
    return wasFull && !this.isFull;
  }
}
