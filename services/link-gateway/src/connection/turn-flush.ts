import { Turn } from '@spanmesh/runtime/turn';

/** A connection or a trunk that has queued messages. */
export interface Flushable {
  /** Hands the socket what is queued. */
  flush(): void;
}

/**
 * Flushes each connection or trunk that has queued messages in a turn of the event loop once, at the end of that turn.
 */
export class TurnFlush {
  readonly #turn = new Turn(() => this.#flush());
  #dirty: Flushable[] = [];

  /** Flushes `dirty` at the end of the turn; to be called once until then. */
  later(dirty: Flushable): void {
    this.#dirty.push(dirty);
    this.#turn.request();
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const one of dirty) one.flush();
  }
}
