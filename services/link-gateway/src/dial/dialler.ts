import { connect, isIP, type Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import type { Clock } from '@spanmesh/runtime/clock';
import { peerAddress } from '../address/peer-address.ts';
import type { Origin } from '../connection/origin.ts';
import type { Refusal } from '../entrance/admission.ts';
import { type EntryDependencies, upgrade } from '../entrance/upgrade.ts';
import { isFailed, LinkGatewayError } from '../gateway-error.ts';
import type { Peer } from '../peers/peer.ts';
import type { GatewayOptions } from '../settings.ts';
import { type Asker, askerName } from './asker.ts';
import type { DialPolicy } from './dial-policy.ts';
import type { Asking } from './names/look-ups.ts';

/**
 * The numeric addresses of a name, best first, at least one. Rejects with LinkGatewayError look-up, also when the
 * signal aborts.
 */
export type Resolve = (host: string, asking: Asking) => Promise<readonly string[]>;

/** Who asks for a dial, how long it may take, and what gives it up. */
export interface DialLimits {
  readonly asker: Asker;
  /** Milliseconds; default: those of the setting. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export interface DiallerDependencies extends EntryDependencies {
  readonly options: Pick<GatewayOptions, 'connectTimeout'>;
  readonly clock: Clock;
  readonly resolve: Resolve;
  readonly policy: DialPolicy;
}

/** Connects to peers. A dialled connection is afterwards treated as an accepted one is. */
export class Dialler {
  readonly #deps: DiallerDependencies;

  constructor(deps: DiallerDependencies) {
    this.#deps = deps;
  }

  /**
   * Connects to the first address of the target that answers. `auto`: the peer's first messages
   * tell the dialect, as on a listener (protocol.md, introduction).
   * @throws LinkGatewayError dial
   */
  async dial(
    target: PeerTarget,
    dialect: Dialect | 'auto',
    origin: Origin,
    { asker, timeout, signal }: DialLimits,
  ): Promise<Peer> {
    const { clock, metrics, options } = this.#deps;
    const abort = new AbortController();
    const give = () => abort.abort();
    const limit = timeout ?? options.connectTimeout;
    const deadline = clock.after(limit, give);
    signal?.addEventListener('abort', give, { once: true });
    if (signal?.aborted) give();
    try {
      const socket = await this.#connect(target, { asker, signal: abort.signal, deadlineAt: clock.now() + limit });
      if (abort.signal.aborted) {
        socket.destroy();
        throw new LinkGatewayError('dial', { why: 'timeout' });
      }
      const peer = await this.#upgrade(socket, dialect === 'auto' ? null : dialect, origin, abort.signal);
      if (typeof peer === 'string') throw new LinkGatewayError('dial', { why: 'refused' });
      metrics.connectionsDialled++;
      return peer;
    } catch (error) {
      metrics.dialsFailed++;
      throw isFailed(error, 'dial') ? error : new LinkGatewayError('dial', { why: 'unreachable' }, { cause: error });
    } finally {
      deadline.cancel();
      signal?.removeEventListener('abort', give);
    }
  }

  /**
   * Makes a connection of the socket. The time of a handshake counts as part of the dial.
   * @throws LinkGatewayError dial timeout, handshake
   */
  #upgrade(socket: Socket, dialect: Dialect | null, origin: Origin, signal: AbortSignal): Promise<Peer | Refusal> {
    return new Promise((resolve, reject) => {
      const give = () => socket.destroy();
      signal.addEventListener('abort', give, { once: true });
      upgrade(this.#deps, { socket, dialect, origin }, (result, failure) => {
        signal.removeEventListener('abort', give);
        // On abort a handshake that had failed reports its own failure; `closed` then means one still under way.
        const isLate = signal.aborted && failure?.failure === 'closed';
        if (result === 'handshake') reject(new LinkGatewayError('dial', { why: isLate ? 'timeout' : 'handshake' }));
        else resolve(result);
      });
    });
  }

  async #connect(
    { host, port }: PeerTarget,
    { asker, signal, deadlineAt }: { asker: Asker; signal: AbortSignal; deadlineAt: number },
  ): Promise<Socket> {
    const { clock, policy, entrance } = this.#deps;
    const isFree = asker.kind === 'operator';
    if (!isFree && policy.forbidsPort(port)) throw this.#notAllowed(asker);
    const addresses = await this.#resolve(host, { asker: askerName(asker), signal });
    // Checked by address: a name may lead to another address each time that it is looked up.
    const allowed = isFree ? addresses : addresses.filter((address) => policy.allows(address, port));
    if (allowed.length === 0) throw this.#notAllowed(asker);
    const admitted = allowed.filter((address) => entrance.admission.refusal(peerAddress(address)) === null);
    if (admitted.length === 0) throw new LinkGatewayError('dial', { why: 'not-admitted' });
    let failure: unknown;
    for (const [i, address] of admitted.entries()) {
      // Each address has its share of the time, so that one that never answers leaves some to the others.
      const share = i === admitted.length - 1 ? null : (deadlineAt - clock.now()) / (admitted.length - i);
      try {
        return await connectTo(address, port, { signal, share, clock });
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) throw new LinkGatewayError('dial', { why: 'timeout' }, { cause: failure });
    }
    throw isFailed(failure, 'dial')
      ? failure
      : new LinkGatewayError('dial', { why: 'unreachable' }, { cause: failure });
  }

  #notAllowed(asker: Asker): LinkGatewayError<'dial'> {
    if (asker.kind === 'peer') {
      const { principal } = asker;
      this.#deps.shares.limited({ resource: 'forbidden dials', bound: 'share', principal, held: 0, limit: 0 });
    }
    return new LinkGatewayError('dial', { why: 'not-allowed' });
  }

  async #resolve(host: string, asking: Asking): Promise<readonly string[]> {
    // A numeric address needs no look-up.
    if (isIP(host) !== 0) return [host];
    try {
      return await this.#deps.resolve(host, asking);
    } catch (error) {
      throw dialErrorOf(error, asking.signal);
    }
  }
}

/** The error of a dial whose look-up failed. */
function dialErrorOf(error: unknown, signal: AbortSignal): LinkGatewayError<'dial'> {
  if (!isFailed(error, 'look-up')) return new LinkGatewayError('dial', { why: 'unresolved' }, { cause: error });
  switch (error.data.why) {
    case 'timeout':
      return new LinkGatewayError('dial', { why: 'timeout' }, { cause: error });
    case 'given-up':
      return new LinkGatewayError('dial', { why: signal.aborted ? 'timeout' : 'unresolved' }, { cause: error });
    case 'too-many':
      return new LinkGatewayError('dial', { why: 'refused' }, { cause: error });
    case 'not-found':
      // `cause` is the error of the name server or of the system.
      return new LinkGatewayError('dial', { why: 'unresolved' }, { cause: error.cause });
  }
}

/** Connects to one address. `share`: how long it may take, ms; null: until the signal aborts. */
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
    const expire = () => give(new LinkGatewayError('dial', { why: 'timeout' }));
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
