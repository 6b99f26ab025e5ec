import type { ConnId } from '@spanmesh/spantree/ids';
import { LARGEST_WINDOW_BYTES, WINDOW_BYTES, WINDOWS_SHARE } from './limits.ts';

/**
 * Decides how large the windows of all trunks to one connection may be: together they must leave most of its send limit
 * unused.
 */
export class WindowShares {
  readonly #budgetBytes: number;
  /** Number of windows, by connection. */
  readonly #windows = new Map<number, number>();

  /** `sendLimit`: bytes that may be queued for a connection. */
  constructor({ sendLimit }: { readonly sendLimit: number }) {
    this.#budgetBytes = sendLimit * WINDOWS_SHARE;
  }

  /** Number of connections that have windows. */
  get size(): number {
    return this.#windows.size;
  }

  /** One more window leads to this connection. */
  opened(connection: ConnId): void {
    this.#windows.set(connection, (this.#windows.get(connection) ?? 0) + 1);
  }

  /** One window fewer leads to this connection. */
  closed(connection: ConnId): void {
    const left = (this.#windows.get(connection) ?? 1) - 1;
    if (left > 0) this.#windows.set(connection, left);
    else this.#windows.delete(connection);
  }

  /** The largest limit of one window to this connection, bytes. */
  shareOf(connection: ConnId): number {
    const share = Math.floor(this.#budgetBytes / (this.#windows.get(connection) ?? 1));
    return Math.max(WINDOW_BYTES, Math.min(share, LARGEST_WINDOW_BYTES));
  }
}
