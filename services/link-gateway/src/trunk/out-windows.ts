import { OutWindow, SHARED_WINDOW } from './credit.ts';
import { MAX_OUT_WINDOWS } from './limits.ts';

/** The windows that a trunk's other side has named. Each lives until the other side says that it has let go of it. */
export class OutWindows {
  readonly #byId = new Map<number, OutWindow>();
  readonly #shared = new OutWindow(SHARED_WINDOW);

  constructor() {
    this.#byId.set(SHARED_WINDOW, this.#shared);
  }

  get shared(): OutWindow {
    return this.#shared;
  }

  /** The one of this name. More than there may be: the shared one. */
  named(id: number): OutWindow {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    if (this.#byId.size >= MAX_OUT_WINDOWS) return this.#shared;
    const window = new OutWindow(id);
    this.#byId.set(id, window);
    return window;
  }

  credited(id: number, consumed: number, limit: number): void {
    this.#byId.get(id)?.credited(consumed, limit);
  }

  /** Nobody counts what is charged to it any more; the routes that it was for are ending. */
  closed(id: number): void {
    const window = this.#byId.get(id);
    if (window === undefined || window === this.#shared) return;
    this.#byId.delete(id);
    window.open();
  }
}
