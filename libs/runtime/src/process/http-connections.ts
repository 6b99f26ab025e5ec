import type { Socket } from 'node:net';
import { addressPrincipal } from '../shares/address-principal.ts';
import type { PoolLimit } from '../shares/pool.ts';

interface Kept {
  readonly address: string;
  /** Number of requests that are being answered. */
  requests: number;
}

/**
 * Connections of an HTTP server, up to a limit. Beyond it the newcomer is kept, because it may be a probe that decides
 * whether this process lives. Of the address with most connections, the one that has been idle for longest is closed.
 */
export class HttpConnections {
  readonly #limit: number;
  readonly #limited: (limit: PoolLimit) => void;
  /** The connection that was last used longest ago comes first. */
  readonly #kept = new Map<Socket, Kept>();
  /** Connections that were closed to make room. */
  displaced = 0;

  /** `limited`: called each time that an address had to give way. */
  constructor({ limit }: { readonly limit: number }, { limited }: { readonly limited: (limit: PoolLimit) => void }) {
    this.#limit = limit;
    this.#limited = limited;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Adds a new connection. */
  add(socket: Socket): void {
    if (this.#kept.size >= this.#limit) this.#displaceOne();
    this.#kept.set(socket, { address: socket.remoteAddress ?? '', requests: 0 });
    socket.once('close', () => this.#kept.delete(socket));
  }

  /** A request has arrived on the connection. */
  began(socket: Socket): void {
    this.#used(socket, 1);
  }

  /** A request on the connection has been answered. */
  ended(socket: Socket): void {
    this.#used(socket, -1);
  }

  #used(socket: Socket, requests: 1 | -1): void {
    const kept = this.#kept.get(socket);
    if (kept === undefined) return;
    kept.requests += requests;
    this.#kept.delete(socket);
    this.#kept.set(socket, kept);
  }

  #displaceOne(): void {
    const most = this.#addressOfMost();
    const ofAddress = [...this.#kept].filter(([, { address }]) => address === most);
    // A client with open requests that does not read the answers must not be safe because of them.
    const [socket] = ofAddress.find(([, { requests }]) => requests === 0) ?? ofAddress[0] ?? [];
    if (socket === undefined) return;
    this.displaced++;
    const bound = { resource: 'HTTP connections', bound: 'total', limit: this.#limit } as const;
    this.#limited({ ...bound, principal: addressPrincipal(most), held: ofAddress.length });
    this.#kept.delete(socket);
    socket.destroy();
  }

  #addressOfMost(): string {
    const counts = new Map<string, number>();
    for (const { address } of this.#kept.values()) counts.set(address, (counts.get(address) ?? 0) + 1);
    let most = '';
    for (const [address, count] of counts) if (count > (counts.get(most) ?? 0)) most = address;
    return most;
  }
}
