import { lookup } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Clock } from '@spanmesh/runtime/clock';
import { peerAddress, type Refusal } from './admission.ts';
import { adopt } from './adopt.ts';
import type { Connection } from './connection.ts';
import type { Core } from './core.ts';
import type { Target } from './dial-target.ts';
import type { Origin } from './origin.ts';

/**
 * Why a dial failed: the name has no address; no address of it may be connected; nobody answered; it took too long; the
 * gateway has no room or is stopping; the crypto handshake failed.
 */
export type DialErrorCode = 'unresolved' | 'not-admitted' | 'unreachable' | 'timeout' | 'refused' | 'handshake';

export class DialError extends Error {
  override readonly name = 'DialError';
  readonly code: DialErrorCode;

  constructor(code: DialErrorCode, options?: ErrorOptions) {
    super(`dial failed: ${code}`, options);
    this.code = code;
  }
}

/** The numeric addresses of a name (or of a numeric address), best first; rejects if there are none. */
export type Resolve = (host: string) => Promise<string[]>;

/** As this host looks names up. */
export const systemResolve: Resolve = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
};

/** How long a dial may take, in milliseconds, and what gives it up. */
export interface DialLimits {
  /** Default: that of the setting. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Connects to peers; what comes of it is a connection like any other. */
export class Dialler {
  readonly #core: Core;
  readonly #resolveName: Resolve;

  constructor(core: Core, resolve: Resolve) {
    this.#core = core;
    this.#resolveName = resolve;
  }

  /**
   * Connects to the first address of the target that answers; the name is looked up afresh. `auto`: the peer's first messages
   * tell the dialect, as on a listener (protocol.md, introduction).
   * @throws DialError
   */
  async dial(
    target: Target,
    dialect: Dialect | 'auto',
    origin: Origin,
    { timeout, signal }: DialLimits = {},
  ): Promise<Connection> {
    const { clock, metrics, options } = this.#core;
    const abort = new AbortController();
    const give = () => abort.abort();
    const limit = timeout ?? options.connectTimeout;
    const deadline = clock.after(limit, give);
    signal?.addEventListener('abort', give, { once: true });
    if (signal?.aborted) give();
    try {
      const socket = await this.#connect(target, abort.signal, clock.now() + limit);
      if (abort.signal.aborted) {
        socket.destroy();
        throw new DialError('timeout');
      }
      const connection = await this.#adopt(socket, dialect === 'auto' ? null : dialect, origin, abort.signal);
      if (connection === 'handshake') throw new DialError(abort.signal.aborted ? 'timeout' : 'handshake');
      if (typeof connection === 'string') throw new DialError('refused');
      metrics.connectionsDialled++;
      return connection;
    } catch (error) {
      metrics.dialsFailed++;
      throw error instanceof DialError ? error : new DialError('unreachable', { cause: error });
    } finally {
      deadline.cancel();
      signal?.removeEventListener('abort', give);
    }
  }

  /** A handshake counts as part of the dial. */
  #adopt(socket: Socket, dialect: Dialect | null, origin: Origin, signal: AbortSignal): Promise<Connection | Refusal> {
    return new Promise((resolve) => {
      const give = () => socket.destroy();
      signal.addEventListener('abort', give, { once: true });
      adopt(this.#core, { socket, dialect, origin }, (result) => {
        signal.removeEventListener('abort', give);
        resolve(result);
      });
    });
  }

  async #connect({ host, port }: Target, signal: AbortSignal, deadlineAt: number): Promise<Socket> {
    const { clock } = this.#core;
    const addresses = await this.#resolve(host, signal);
    // Checked before connecting: a shell must not make us knock at other hosts' doors.
    const admitted = addresses.filter(
      (address) => this.#core.entrance.admission.refusal(peerAddress(address)) === null,
    );
    if (admitted.length === 0) throw new DialError('not-admitted');
    let failure: unknown;
    for (const [i, address] of admitted.entries()) {
      // One that never answers leaves the others their share of the time.
      const share = i === admitted.length - 1 ? null : (deadlineAt - clock.now()) / (admitted.length - i);
      try {
        return await connectTo(address, port, { signal, share, clock });
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) throw new DialError('timeout', { cause: failure });
    }
    throw failure instanceof DialError ? failure : new DialError('unreachable', { cause: failure });
  }

  async #resolve(host: string, signal: AbortSignal): Promise<string[]> {
    // A look-up cannot be ended, only left alone.
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    if (signal.aborted) throw new DialError('timeout');
    signal.addEventListener('abort', () => late.reject(new DialError('timeout')), { once: true });
    try {
      return await Promise.race([this.#resolveName(host), late.promise]);
    } catch (error) {
      throw error instanceof DialError ? error : new DialError('unresolved', { cause: error });
    }
  }
}

/** `share`: how long this address may take, ms; null: until the signal comes. */
function connectTo(
  host: string,
  port: number,
  { signal, share, clock }: { signal: AbortSignal; share: number | null; clock: Clock },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const end = () => {
      signal.removeEventListener('abort', expire);
      late?.cancel();
    };
    const give = (error: Error) => {
      end();
      socket.destroy();
      reject(error);
    };
    const expire = () => give(new DialError('timeout'));
    const late = share === null ? null : clock.after(share, expire);
    socket.once('error', give);
    signal.addEventListener('abort', expire, { once: true });
    socket.once('connect', () => {
      end();
      socket.off('error', give);
      resolve(socket);
    });
  });
}
