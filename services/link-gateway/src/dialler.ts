import { lookup } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { peerAddress } from './admission.ts';
import { adopt } from './adopt.ts';
import type { Connection } from './connection.ts';
import type { Core } from './core.ts';
import type { Target } from './dial-target.ts';
import type { Origin } from './origin.ts';

/**
 * Why a dial failed: the name has no address; no address of it may be connected; nobody answered; it took too long; the
 * gateway has no room or is stopping.
 */
export type DialErrorCode = 'unresolved' | 'not-admitted' | 'unreachable' | 'timeout' | 'refused';

export class DialError extends Error {
  override readonly name = 'DialError';
  readonly code: DialErrorCode;

  constructor(code: DialErrorCode, options?: ErrorOptions) {
    super(`dial failed: ${code}`, options);
    this.code = code;
  }
}

/** Connects to peers; what comes of it is a connection like any other. */
export class Dialler {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Connects to the first address of the target that answers; the name is looked up afresh. `auto`: the peer's first messages
   * tell the dialect, as on a listener (protocol.md, introduction).
   * @throws DialError
   */
  async dial(target: Target, dialect: Dialect | 'auto', origin: Origin): Promise<Connection> {
    const { clock, metrics, options } = this.#core;
    const abort = new AbortController();
    const deadline = clock.after(options.connectTimeout, () => abort.abort());
    try {
      const socket = await this.#connect(target, abort.signal);
      const connection = adopt(this.#core, socket, dialect === 'auto' ? null : dialect, origin);
      if (typeof connection === 'string') throw new DialError('refused');
      metrics.connectionsDialled++;
      return connection;
    } catch (error) {
      metrics.dialsFailed++;
      throw error instanceof DialError ? error : new DialError('unreachable', { cause: error });
    } finally {
      deadline.cancel();
    }
  }

  async #connect({ host, port }: Target, signal: AbortSignal): Promise<Socket> {
    const addresses = await this.#resolve(host, signal);
    // Checked before connecting: a shell must not make us knock at other hosts' doors.
    const admitted = addresses.filter((address) => this.#core.admission.refusal(peerAddress(address)) === null);
    if (admitted.length === 0) throw new DialError('not-admitted');
    let failure: unknown;
    for (const address of admitted) {
      try {
        return await connectTo(address, port, signal);
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) throw new DialError('timeout', { cause: failure });
    }
    throw new DialError('unreachable', { cause: failure });
  }

  async #resolve(host: string, signal: AbortSignal): Promise<string[]> {
    // A look-up cannot be ended, only left alone.
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    signal.addEventListener('abort', () => late.reject(new DialError('timeout')), { once: true });
    try {
      const found = await Promise.race([lookup(host, { all: true }), late.promise]);
      return found.map(({ address }) => address);
    } catch (error) {
      throw error instanceof DialError ? error : new DialError('unresolved', { cause: error });
    }
  }
}

function connectTo(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const give = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    const expire = () => give(new DialError('timeout'));
    socket.once('error', give);
    signal.addEventListener('abort', expire, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', expire);
      socket.off('error', give);
      resolve(socket);
    });
  });
}
