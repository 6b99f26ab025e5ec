/**
 * Combines all requests of one turn of the event loop into one call at its end: messages, sockets and streams are
 * written in batches this way (architecture.md "Attach", batches: one flush per turn).
 */
export class Turn {
  readonly #run: () => void;
  #requested = false;

  /** `flush` is called with setImmediate; its exceptions are uncaught. */
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
