import { OutWindow, SHARED_WINDOW } from './credit.ts';
import { MAX_OUT_WINDOWS } from './limits.ts';

/** The windows that the other side of a trunk has named. Each lives until the other side closes it. */
export class OutWindows {
  readonly #byId = new Map<number, OutWindow>();
  readonly #shared = new OutWindow(SHARED_WINDOW);

  constructor() {
    this.#byId.set(SHARED_WINDOW, this.#shared);
  }

  get shared(): OutWindow {
    return this.#shared;
  }

  /** The window of this name, made if needed; past MAX_OUT_WINDOWS the shared one. */
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

  /** The other side has closed the window; the routes that used it are ending. */
  closed(id: number): void {
    const window = this.#byId.get(id);
    if (window === undefined || window === this.#shared) return;
    this.#byId.delete(id);
    window.open();
  }
}
