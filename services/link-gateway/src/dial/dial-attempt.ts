import type { Clock } from '@spanmesh/runtime/clock';
import { adviceFor, type CloseReason } from '../connection/close-reason.ts';
import { type DialFailure, isFailed, LinkGatewayError } from '../gateway-error.ts';
import type { Peer } from '../peers/peer.ts';
import { answered } from './answered.ts';
import type { Order } from './dialled-connection.ts';
import type { Dialler } from './dialler.ts';

/**
 * How far an order has been carried out; changed in `#become` only.
 *
 * * waiting: the owner's former connection is still closing. The first state.
 * * dialling: looking up and connecting. From waiting, when the former connection is gone.
 * * answering: connected; the peer has not answered our LNK_CONN. From dialling.
 * * established: the connection is the owner's. From answering, at once if no answer is asked for.
 * * ending: `end` was called; the dial is being given up, or the socket is closing. From all of the above.
 * * ended: no socket is left. From all of the above, always last.
 */
type State = 'waiting' | 'dialling' | 'answering' | 'established' | 'ending' | 'ended';

export interface DialAttemptDependencies {
  readonly dialler: Dialler;
  readonly clock: Clock;
  /** The attempt has a connection: `socketClosed` is to be called when its socket has closed. */
  readonly connected: (attempt: DialAttempt, peer: Peer) => void;
  /** The connection is established. */
  readonly up: (attempt: DialAttempt, peer: Peer) => void;
}

/** One order being carried out: the attempt, then the connection, until its socket is closed. */
export class DialAttempt {
  readonly order: Order;
  /** The connection once it is established. @throws LinkGatewayError order, failed or superseded */
  readonly result: Promise<Peer>;
  /** Resolves when neither a dial nor a socket of this order is left. */
  readonly ended: Promise<void>;
  /** The connection is established, or was until it ended. */
  wasEstablished = false;

  readonly #deps: DialAttemptDependencies;
  readonly #abort = new AbortController();
  readonly #gone = Promise.withResolvers<void>();
  #state: State = 'waiting';
  #peer: Peer | null = null;
  /** `end` was called: the result is then `superseded`, not a failure. */
  #toldToEnd = false;
  /** Why the socket was closed, once it is. */
  #reason: CloseReason | null = null;

  /** `before`: resolves when the owner's former connection is gone. */
  constructor(order: Order, before: Promise<void>, deps: DialAttemptDependencies) {
    this.order = order;
    this.#deps = deps;
    this.ended = this.#gone.promise;
    this.result = this.#run(before);
    // Callers handle a rejection; without any caller it must not count as unhandled.
    this.result.catch(() => {});
  }

  /** The connection while it is established. */
  get established(): Peer | null {
    return this.#state === 'established' ? this.#peer : null;
  }

  get peer(): Peer | null {
    return this.#peer;
  }

  /** The connection is established, or may still become so. */
  get live(): boolean {
    return this.#state !== 'ending' && this.#state !== 'ended';
  }

  /** Ends the dial or the connection. Resolves when nothing of it is left. */
  end(reason: CloseReason): Promise<void> {
    if (this.live) {
      this.#toldToEnd = true;
      this.#become('ending');
      this.#abort.abort();
      this.#peer?.connection.close(reason);
    }
    return this.ended;
  }

  /** The connection's socket has closed. */
  socketClosed(reason: CloseReason): void {
    this.#reason = reason;
    this.#become('ended');
    this.#gone.resolve();
  }

  async #run(before: Promise<void>): Promise<Peer> {
    await before;
    try {
      const peer = await this.#dial();
      if (this.order.answerTimeout > 0) await this.#answer(peer);
      this.#checkLive();
      this.#become('established');
      this.wasEstablished = true;
      this.#deps.up(this, peer);
      return peer;
    } catch (error) {
      if (this.#peer === null) {
        this.#become('ended');
        this.#gone.resolve();
      } else {
        // The socket must be gone before the caller is told that there is no connection.
        this.#peer.connection.close('unanswered');
        await this.ended;
      }
      throw error;
    }
  }

  async #dial(): Promise<Peer> {
    this.#checkLive();
    this.#become('dialling');
    const { owner, generation, label, host, port, dialect, connectTimeout, asker } = this.order;
    let peer: Peer;
    try {
      peer = await this.#deps.dialler.dial(
        { host, port },
        dialect,
        { kind: 'target', owner, generation, label },
        { asker, timeout: connectTimeout, signal: this.#abort.signal },
      );
    } catch (error) {
      this.#checkLive();
      throw isFailed(error, 'dial') ? failed(error.data.why, error) : error;
    }
    this.#peer = peer;
    this.#deps.connected(this, peer);
    this.#checkLive();
    this.#become('answering');
    return peer;
  }

  async #answer(peer: Peer): Promise<void> {
    const hasAnswered = await answered(peer, { ms: this.order.answerTimeout, clock: this.#deps.clock });
    this.#checkLive();
    if (!hasAnswered) throw failed('unanswered');
  }

  /** @throws LinkGatewayError order: `end` was called, or the connection has closed. */
  #checkLive(): void {
    if (this.#toldToEnd)
      throw new LinkGatewayError('order', { why: 'superseded' }, { message: 'a later order ended it' });
    const reason = this.#peer?.connection.closeReason ?? this.#reason;
    if (reason !== null) throw failed('closed', undefined, reason);
  }

  #become(state: State): void {
    if (this.#state !== 'ended') this.#state = state;
  }
}

/** What an operator reads of each failure. */
const SAYS: Readonly<Record<DialFailure, string>> = {
  unresolved: 'the name has no address',
  'not-allowed': 'peers may not have this gateway connect there (SPANMESH_DIAL_ALLOW)',
  'not-admitted': 'no key and no permission for plaintext for any of its addresses (spanmesh keys check ADDRESS)',
  unreachable: 'nobody answers there',
  timeout: 'the connection could not be made in time',
  refused: 'the gateway takes no more connections',
  handshake: 'the crypto handshake failed: check the keys of both sides',
  closed: 'the connection was closed before our LNK_CONN was answered',
  unanswered: 'the peer connected but did not answer our LNK_CONN',
};

/** The error of an order that failed. `cause`: the error of the dial; `reason`: why the connection was closed. */
function failed(
  failure: DialFailure,
  cause?: LinkGatewayError<'dial'>,
  reason?: CloseReason,
): LinkGatewayError<'order'> {
  const system = cause?.cause instanceof Error ? (cause.cause as NodeJS.ErrnoException).code : undefined;
  const more = system ?? (reason === undefined ? undefined : (adviceFor(reason) ?? reason));
  const message = more === undefined ? SAYS[failure] : `${SAYS[failure]} (${more})`;
  return new LinkGatewayError('order', { why: 'failed', failure }, { message, cause });
}
