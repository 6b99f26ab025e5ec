import type { Clock, Timer } from '@spanmesh/runtime/clock';

/** Since when nothing has come on a connection; and the end of one on which nothing ever comes. */
export class Silence {
  /** When the last byte came, or the connection was read again after a pause, on the clock's monotonic scale. */
  heardAt: number;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  /** null: something has come. */
  #deadline: Timer | null;

  /** Calls `ended` unless anything comes within `limitMs`. */
  constructor({ limitMs }: { readonly limitMs: number }, { clock, ended }: SilenceDependencies) {
    this.#clock = clock;
    this.heardAt = clock.now();
    this.#deadline = clock.after(limitMs, ended);
  }

  /** Bytes have come. */
  heard(): void {
    this.begin();
    if (this.#deadline !== null) this.stop();
  }

  /** The time of silence begins now. */
  begin(): void {
    this.heardAt = this.#clock.now();
  }

  /** It may be silent from now on. */
  stop(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
  }
}

interface SilenceDependencies {
  readonly clock: Pick<Clock, 'now' | 'after'>;
  readonly ended: () => void;
}
