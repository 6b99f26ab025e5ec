import type { ConnId } from '@spanmesh/spantree/ids';
import { InWindow, SHARED_WINDOW } from './credit.ts';
import { LARGEST_WINDOW_BYTES, MAX_WINDOW } from './limits.ts';
import type { LocalDestinations } from './local-destinations.ts';
import type { Credit } from './messages.ts';
import type { WindowShares } from './window-shares.ts';

export interface InWindowsOptions {
  readonly destinations: LocalDestinations;
  readonly shares: WindowShares;
  /** The highest name (number) that a window may have. */
  readonly lastName?: number;
}

/**
 * The windows that this side of a trunk has named: one for each connection of ours that routes over the trunk lead to.
 */
export class InWindows {
  readonly #destinations: LocalDestinations;
  readonly #shares: WindowShares;
  readonly #lastName: number;
  readonly #tell: (credit: Credit) => void;
  readonly #shared: InWindow;
  readonly #byConnection = new Map<number, InWindow>();
  readonly #byId = new Map<number, InWindow>();
  readonly #connectionOf = new Map<InWindow, number>();
  #last: InWindow;
  #lastId = SHARED_WINDOW;
  /** Names of closed windows. They may be used again once the other side has answered with WINDOW_FREED. */
  readonly #closing = new Set<number>();
  readonly #free: number[] = [];

  constructor({ destinations, shares, lastName = MAX_WINDOW }: InWindowsOptions, tell: (credit: Credit) => void) {
    this.#destinations = destinations;
    this.#shares = shares;
    this.#lastName = lastName;
    this.#tell = tell;
    this.#shared = new InWindow(SHARED_WINDOW, null, () => LARGEST_WINDOW_BYTES, tell);
    this.#last = this.#shared;
    this.#byId.set(SHARED_WINDOW, this.#shared);
  }

  /**
   * The window for one more route to this connection. If the connection is 0 or gone, or no name is free: the shared
   * window.
   */
  take(connection: ConnId): InWindow {
    const window = this.#byConnection.get(connection) ?? this.#make(connection);
    window.routes++;
    return window;
  }

  /** A route that used the window has ended; with the last one the window is closed. */
  leave(window: InWindow): void {
    if (--window.routes > 0 || window === this.#shared) return;
    this.#byId.delete(window.id);
    const connection = this.#connectionOf.get(window);
    if (connection !== undefined) {
      this.#byConnection.delete(connection);
      this.#connectionOf.delete(window);
      this.#shares.closed(connection);
    }
    this.#closing.add(window.id);
    window.close();
    if (this.#last === window) this.#last = this.#shared;
  }

  /** A message charged to this window has come. Nothing is counted if the window is closed. */
  received(id: number, bytes: number): void {
    if (this.#last.id !== id) {
      const window = this.#byId.get(id);
      if (window === undefined) return;
      this.#last = window;
    }
    this.#last.received(bytes);
  }

  /** WINDOW_FREED has come for a closed window: no further message can be charged to it, so its name is free. */
  freed(id: number): void {
    if (this.#closing.delete(id)) this.#free.push(id);
  }

  /** Number of names that are in use or not yet freed. */
  get named(): number {
    return this.#byId.size - 1 + this.#closing.size;
  }

  /** The trunk is gone: gives back the windows' shares of their connections. */
  clear(): void {
    for (const connection of this.#byConnection.keys()) this.#shares.closed(connection);
    this.#byConnection.clear();
    this.#connectionOf.clear();
  }

  #make(connection: ConnId): InWindow {
    const pressure = connection === 0 ? null : this.#destinations.pressureOfConnection(connection);
    if (pressure === null) return this.#shared;
    const id = this.#free.pop() ?? (this.#lastId < this.#lastName ? ++this.#lastId : null);
    if (id === null) return this.#shared;
    const window = new InWindow(id, pressure, () => this.#shares.shareOf(connection), this.#tell);
    this.#shares.opened(connection);
    this.#byConnection.set(connection, window);
    this.#byId.set(window.id, window);
    this.#connectionOf.set(window, connection);
    return window;
  }
}
