import type { CloseReason } from './close-reason.ts';

/** A connection that has received part of a message. */
export interface MemoryHolder {
  close(reason: CloseReason, detail: { readonly held: number }): void;
}

/**
 * Counts the half-received messages of all connections, of which each may be a megabyte: a thousand peers that each send
 * almost all of one must not fill the memory. Beyond the limit the connection that holds most is closed.
 */
export class ReceiveMemory<Holder extends MemoryHolder> {
  readonly #limitBytes: number;
  readonly #holders = new Map<Holder, number>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The connection now holds this many bytes. */
  set(connection: Holder, bytes: number): void {
    const before = this.#holders.get(connection);
    if (before === undefined && bytes === 0) return;
    this.#bytes += bytes - (before ?? 0);
    if (bytes === 0) this.#holders.delete(connection);
    else this.#holders.set(connection, bytes);
    if (this.#bytes > this.#limitBytes) this.#largest()?.close('receive-limit', { held: this.#bytes });
  }

  #largest(): Holder | undefined {
    let found: Holder | undefined;
    let most = 0;
    for (const [connection, bytes] of this.#holders) {
      if (bytes <= most) continue;
      most = bytes;
      found = connection;
    }
    return found;
  }
}
