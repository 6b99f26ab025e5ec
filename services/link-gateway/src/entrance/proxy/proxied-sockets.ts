import type { Socket } from 'node:net';
import { addressBytes } from '@spanmesh/dmsg-socket/address/numeric-address';
import { contains, type Prefix } from '@spanmesh/dmsg-socket/address/prefix';
import type { Clock } from '@spanmesh/runtime/clock';
import { isFailed, type LinkGatewayError } from '../../gateway-error.ts';
import type { ProxyHeader } from './proxy-header.ts';
import { readProxied } from './read-proxied.ts';

export interface ProxiedSocketsOptions {
  /** Whose connections begin with a header. */
  readonly from: readonly Prefix[];
  /** How long a header may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Most connections whose header has not come. */
  readonly limit: number;
}

/** Connections from trusted balancers, until it is known whose they are. */
export class ProxiedSockets {
  readonly #options: ProxiedSocketsOptions;
  readonly #clock: Clock;
  /** What ends each wait. */
  readonly #waiting = new Set<() => void>();

  constructor(options: ProxiedSocketsOptions, deps: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = deps.clock;
  }

  /** Is this the address of a balancer? Nobody else's header is looked at. */
  trusts(address: string): boolean {
    const { from } = this.#options;
    if (from.length === 0) return false;
    const bytes = addressBytes(address);
    return bytes !== null && from.some((prefix) => contains(prefix, bytes));
  }

  /** Calls back once: with the header, the socket paused and without listeners; or with why not, the socket destroyed. */
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

  /** Drops those that wait. */
  stop(): void {
    for (const cancel of this.#waiting) cancel();
  }
}

function drop(socket: Socket): void {
  // Its errors are nobody's business any more, and must not be unhandled.
  socket.on('error', () => {});
  socket.destroy();
}
