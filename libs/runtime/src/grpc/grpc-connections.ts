import type { Socket } from 'node:net';
import { addressPrincipal } from '../shares/address-principal.ts';
import { type Holding, Pool, type PoolLimit } from '../shares/pool.ts';

/** How many connections a port takes. */
export interface ConnectionBounds {
  readonly total: number;
  /** Connections of one address, in IPv6 of one /64. */
  readonly share: number;
}

/**
 * Connections to a port before anything is known of who calls: no address has more than its share, and when all are taken the newest
 * one goes of the address that has most.
 */
export class GrpcConnections {
  readonly #pool: Pool<Socket>;
  /** Share of the pool of each connection. */
  readonly #open = new Map<Socket, Holding<Socket>>();
  #onNone = (): void => {};

  /** `resource`: how it is named where it is told that an address has too many. */
  constructor(
    { resource, bounds }: { readonly resource: string; readonly bounds: ConnectionBounds },
    { limited }: { readonly limited: (limit: PoolLimit) => void },
  ) {
    this.#pool = new Pool({ resource, ...bounds }, { evict: (socket) => this.#end(socket), limited });
  }

  get size(): number {
    return this.#open.size;
  }

  /** Connections refused, or ended for others, so far. */
  get refused(): number {
    return this.#pool.limits;
  }

  /** False: it is too many, and has been ended. */
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

  /** Calls `fn` once there are none, at once if there are none now. */
  whenNone(fn: () => void): void {
    if (this.#open.size === 0) fn();
    else this.#onNone = fn;
  }

  /** Ends the connections that are left: the library knows only the ones that have begun to speak. */
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
