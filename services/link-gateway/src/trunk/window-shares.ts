import type { ConnId } from '@spanmesh/spantree/ids';
import { LARGEST_WINDOW_BYTES, WINDOW_BYTES, WINDOWS_SHARE } from './limits.ts';

/** How large the windows of all trunks that lead to one connection may be: together they must leave most of its send limit alone. */
export class WindowShares {
  readonly #budgetBytes: number;
  /** Windows by the number of their connection. */
  readonly #windows = new Map<number, number>();

  /** `sendLimit`: bytes that may wait for a connection. */
  constructor({ sendLimit }: { readonly sendLimit: number }) {
    this.#budgetBytes = sendLimit * WINDOWS_SHARE;
  }

  /** Connections that windows lead to. */
  get size(): number {
    return this.#windows.size;
  }

  /** One more leads to this connection. */
  opened(connection: ConnId): void {
    this.#windows.set(connection, (this.#windows.get(connection) ?? 0) + 1);
  }

  /** One less. */
  closed(connection: ConnId): void {
    const left = (this.#windows.get(connection) ?? 1) - 1;
    if (left > 0) this.#windows.set(connection, left);
    else this.#windows.delete(connection);
  }

  /** Bytes that one of them may have at most. */
  shareOf(connection: ConnId): number {
    const share = Math.floor(this.#budgetBytes / (this.#windows.get(connection) ?? 1));
    return Math.max(WINDOW_BYTES, Math.min(share, LARGEST_WINDOW_BYTES));
  }
}
