import { Turn } from '@spanmesh/runtime/turn';

/** Something that has queued messages. */
export interface Flushable {
  /** Hands the socket what is queued. */
  flush(): void;
}

/** Flushes what has queued messages in a turn of the event loop, once, at its end. */
export class TurnFlush {
  readonly #turn = new Turn(() => this.#flush());
  #dirty: Flushable[] = [];

  /** Flushes this at the end of the turn; call once until then. */
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
