import type { Socket } from 'node:net';
import { addressPrincipal } from '../shares/address-principal.ts';
import { type Holding, Pool, type PoolLimit } from '../shares/pool.ts';

/** How many connections a port takes at a time. */
export interface ConnectionBounds {
  readonly total: number;
  /** Connections of one address (in IPv6: of one /64). */
  readonly share: number;
}

/**
 * Connections to a port, limited before anything is known about the caller. No address has more than its share, and
 * when all are taken the newest connection of the address with most is ended.
 */
export class GrpcConnections {
  readonly #pool: Pool<Socket>;
  /** Each connection with its holding in the pool. */
  readonly #open = new Map<Socket, Holding<Socket>>();
  #onNone = (): void => {};

  /** `resource`: the name under which it is reported that an address has too many. */
  constructor(
    { resource, bounds }: { readonly resource: string; readonly bounds: ConnectionBounds },
    { limited }: { readonly limited: (limit: PoolLimit) => void },
  ) {
    this.#pool = new Pool({ resource, ...bounds }, { evict: (socket) => this.#end(socket), limited });
  }

  get size(): number {
    return this.#open.size;
  }

  /** Connections refused, or ended to make room, so far. */
  get refused(): number {
    return this.#pool.limits;
  }

  /** False: there are too many, and this one has been ended. */
  admit(socket: Socket): boolean {
    const holding = this.#pool.open(addressPrincipal(socket.remoteAddress ?? ''), socket);
    if (this.#pool.take(holding) !== null) {
      this.#pool.close(holding);
      socket.destroy();
      return false;
    }
    this.#open.set(socket, holding);
    socket.once('close', () => this.#release(socket));
    return true;
  }

  /** Calls `fn` once no connection is open, at once if none is. */
  whenNone(fn: () => void): void {
    if (this.#open.size === 0) fn();
    else this.#onNone = fn;
  }

  /** Ends all connections: the library only knows those on which something was received. */
  end(): void {
    for (const socket of [...this.#open.keys()]) this.#end(socket);
  }

  #end(socket: Socket): void {
    this.#release(socket);
    socket.destroy();
  }

  #release(socket: Socket): void {
    const holding = this.#open.get(socket);
    if (holding === undefined) return;
    this.#open.delete(socket);
    this.#pool.close(holding);
    if (this.#open.size === 0) this.#onNone();
  }
}
