import { MAX_DELTAS_UNDER_WAY } from '../shares/limits.ts';

/**
 * How many deltas are under way to the leader on one stream. What it has not taken in stands ahead of whatever comes next, of whomever:
 * so little of it is sent ahead, and the rest waits in the reports, where connections that bring much are not read.
 */
export class DeltaWindow {
  #isTold = false;
  #sent = 0;
  #taken = 0;

  /** A stream begins. `isTold`: its leader tells what it has taken in; otherwise the stream's own buffers are all that bounds it. */
  begin(isTold: boolean): void {
    this.#isTold = isTold;
    this.#sent = 0;
    this.#taken = 0;
  }

  /** Deltas that the leader has not taken in, as far as it has told; 0 while it tells nothing. */
  get underWay(): number {
    return this.#isTold ? this.#sent - this.#taken : 0;
  }

  /** None may be sent before the leader has taken in one more. */
  get isFull(): boolean {
    return this.underWay >= MAX_DELTAS_UNDER_WAY;
  }

  sent(): void {
    this.#sent++;
  }

  /** The leader has taken in so many on this stream. True: more may be sent, which could not be before. */
  taken(deltas: number): boolean {
    const wasFull = this.isFull;
    // Not believed blindly: never fewer than before, nor more than were sent.
    this.#taken = Math.min(this.#sent, Math.max(this.#taken, deltas));
    return wasFull && !this.isFull;
  }
}
