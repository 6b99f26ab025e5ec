/**
 * Gathers the requests of one turn of the event loop into one call, made at its end: the batching point of messages,
 * sockets and streams (architecture.md "Attach", batches: one flush per turn).
 */
export class Turn {
  readonly #run: () => void;
  #requested = false;

  /** `flush` is called with setImmediate; what it throws is an uncaught exception. */
  constructor(flush: () => void) {
    this.#run = () => {
      // Cleared first: a request made inside flush is for the next turn.
      this.#requested = false;
      flush();
    };
  }

  /** Asks for a flush at the end of this turn. Cheap when already asked for. */
  request(): void {
    if (!this.#requested) {
      this.#requested = true;
      setImmediate(this.#run);
    }
  }
}
