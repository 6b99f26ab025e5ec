import type { Socket } from 'node:net';
import { addressBytes } from '@spanmesh/dmsg-socket/address/numeric-address';
import { contains, type Prefix } from '@spanmesh/dmsg-socket/address/prefix';
import type { Clock } from '@spanmesh/runtime/clock';
import { isFailed, type LinkGatewayError } from '../../gateway-error.ts';
import type { ProxyHeader } from './proxy-header.ts';
import { readProxied } from './read-proxied.ts';

export interface ProxiedSocketsOptions {
  /** Addresses of the balancers, whose connections begin with a PROXY header. */
  readonly from: readonly Prefix[];
  /** How long a header may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Most connections whose header may be waited for at a time. */
  readonly limit: number;
}

/** Connections from trusted balancers, until the PROXY header has come. */
export class ProxiedSockets {
  readonly #options: ProxiedSocketsOptions;
  readonly #clock: Clock;
  /** A function for each socket whose header is waited for: it ends the wait. */
  readonly #waiting = new Set<() => void>();

  constructor(options: ProxiedSocketsOptions, deps: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = deps.clock;
  }

  /** Whether this is the address of a balancer. Only balancers' headers are read. */
  trusts(address: string): boolean {
    const { from } = this.#options;
    if (from.length === 0) return false;
    const bytes = addressBytes(address);
    return bytes !== null && from.some((prefix) => contains(prefix, bytes));
  }

  /**
   * Calls back once: with the header, and the socket paused and without listeners; or with an error or `full`, and the
   * socket destroyed.
   */
  read(socket: Socket, done: (result: ProxyHeader | LinkGatewayError<'proxy'> | 'full') => void): void {
    if (this.#waiting.size >= this.#options.limit) {
      drop(socket);
      done('full');
      return;
    }
    const cancel = readProxied(socket, this.#options.timeoutMs, this.#clock, (result) => {
      this.#waiting.delete(cancel);
      if (isFailed(result, 'proxy')) drop(socket);
      done(result);
    });
    this.#waiting.add(cancel);
  }

  /** Drops the sockets whose header is waited for. */
  stop(): void {
    for (const cancel of this.#waiting) cancel();
  }
}

function drop(socket: Socket): void {
  // An error without a listener would be an uncaught exception.
  socket.on('error', () => {});
  socket.destroy();
}
