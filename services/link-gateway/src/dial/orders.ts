import type { Clock } from '@spanmesh/runtime/clock';
import type { CloseReason } from '../connection/close-reason.ts';
import { LinkGatewayError } from '../gateway-error.ts';
import { MAX_DIAL_OWNERS } from '../limits.ts';
import type { Peer } from '../peers/peer.ts';
import { DialAttempt } from './dial-attempt.ts';
import type { DialledConnection, Order } from './dialled-connection.ts';
import type { Dialler } from './dialler.ts';
import type { MediaEvents } from './media-events.ts';

/**
 * The highest order heard of an owner, and its attempt or connection. Kept without one, too, to refuse older orders.
 */
interface Owner {
  epoch: number;
  generation: number;
  attempt: DialAttempt | null;
}

/**
 * The orders of volconf, by owner (dial.proto, "Dial"). An owner has one connection. The order with the highest (epoch,
 * generation) counts, in whatever sequence orders arrive, and however often.
 */
export class Orders {
  readonly #deps: { readonly dialler: Dialler; readonly events: MediaEvents; readonly clock: Clock };
  readonly #owners = new Map<string, Owner>();
  /** The attempts whose connection has a socket that has not closed. */
  readonly #byPeer = new Map<Peer, DialAttempt>();
  #epoch = 0;
  #stopped = false;
  #onEpoch: () => void = () => {};

  constructor(deps: { dialler: Dialler; events: MediaEvents; clock: Clock }) {
    this.#deps = deps;
  }

  /** Highest epoch heard; 0: none. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Owners that are known, those without an attempt or a connection included. */
  get size(): number {
    return this.#owners.size;
  }

  /** Sockets that were made to order and have not closed. */
  get sockets(): number {
    return this.#byPeer.size;
  }

  /** Called when a higher epoch has been heard. */
  set onEpoch(fn: () => void) {
    this.#onEpoch = fn;
  }

  /** Connections that are established. */
  *established(): Iterable<DialledConnection> {
    for (const [peer, attempt] of this.#byPeer) {
      if (attempt.established === peer) yield { order: attempt.order, peer };
    }
  }

  /**
   * Refuses a leader whose term is over. A higher epoch is that of a new leader: attempts of the former leader that are
   * not established end, so that none of them is established later. Established connections stay: the new leader takes
   * them over.
   * @throws LinkGatewayError order, stale-epoch
   */
  checkEpoch(epoch: number): void {
    if (epoch < this.#epoch) {
      const message = `epoch ${epoch} is over, ${this.#epoch} has begun`;
      throw new LinkGatewayError('order', { why: 'stale-epoch', epoch: this.#epoch }, { message });
    }
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    for (const [name, owner] of this.#owners) {
      if (owner.attempt === null) this.#owners.delete(name);
      else if (owner.attempt.established === null) void owner.attempt.end('hangup');
    }
    this.#onEpoch();
  }

  /**
   * The connection for an order: the present one if the order is the same, otherwise a new one, made once the former
   * one is closed.
   * @throws LinkGatewayError order
   */
  dial(order: Order): Promise<Peer> {
    this.checkEpoch(order.epoch);
    if (this.#stopped) {
      throw new LinkGatewayError(
        'order',
        { why: 'failed', failure: 'refused' },
        { message: 'the gateway is stopping' },
      );
    }
    const owner = this.#ownerOf(order.owner);
    const rank = compare(order, owner);
    // A hangup that is higher than the order of an attempt has ended it.
    if (rank === 0 && owner.attempt?.live === true) return owner.attempt.result;
    if (rank <= 0) throw superseded(owner);
    const before = owner.attempt?.end('hangup') ?? Promise.resolve();
    owner.epoch = order.epoch;
    owner.generation = order.generation;
    const { dialler, clock, events } = this.#deps;
    const attempt = new DialAttempt(order, before, {
      dialler,
      clock,
      connected: (which, peer) => this.#byPeer.set(peer, which),
      up: (which, peer) => events.up({ order: which.order, peer }),
    });
    owner.attempt = attempt;
    void attempt.ended.then(() => {
      if (owner.attempt === attempt) owner.attempt = null;
    });
    return attempt.result;
  }

  /**
   * Ends the attempt or connection of an owner up to this (epoch, generation), and refuses later orders up to it.
   * Resolves when the socket is closed; true if there was an attempt or a connection.
   * @throws LinkGatewayError order, stale-epoch
   */
  async hangup(order: Pick<Order, 'owner' | 'epoch' | 'generation'>): Promise<boolean> {
    this.checkEpoch(order.epoch);
    const owner = this.#ownerOf(order.owner);
    if (compare(order, owner) > 0) {
      owner.epoch = order.epoch;
      owner.generation = order.generation;
    }
    const { attempt } = owner;
    if (attempt === null || compare(order, attempt.order) < 0) return false;
    await attempt.end('hangup');
    return true;
  }

  /** A connection's socket has closed; one that was not dialled to order is ignored. */
  gone(peer: Peer, reason: CloseReason): void {
    const attempt = this.#byPeer.get(peer);
    if (attempt === undefined) return;
    this.#byPeer.delete(peer);
    attempt.socketClosed(reason);
    if (attempt.wasEstablished) this.#deps.events.down({ order: attempt.order, peer }, reason);
  }

  /** Takes no more orders and ends attempts; connections are closed with all others. */
  stop(): void {
    this.#stopped = true;
    for (const { attempt } of this.#owners.values()) {
      if (attempt !== null && attempt.peer === null) void attempt.end('stopping');
    }
  }

  #ownerOf(name: string): Owner {
    let owner = this.#owners.get(name);
    if (owner === undefined) {
      if (this.#owners.size >= MAX_DIAL_OWNERS) this.#forgetOne();
      owner = { epoch: 0, generation: 0, attempt: null };
      this.#owners.set(name, owner);
    }
    return owner;
  }

  /**
   * Forgets the oldest owner without an attempt or a connection.
   * @throws LinkGatewayError order, too-many: all owners have one
   */
  #forgetOne(): void {
    for (const [name, owner] of this.#owners) {
      if (owner.attempt !== null) continue;
      this.#owners.delete(name);
      return;
    }
    const message = `${MAX_DIAL_OWNERS} owners have connections here already`;
    throw new LinkGatewayError('order', { why: 'too-many' }, { message });
  }
}

type Rank = Pick<Order, 'epoch' | 'generation'>;

/** Negative: `a` is the older order. */
function compare(a: Rank, b: Rank): number {
  return a.epoch - b.epoch || a.generation - b.generation;
}

function superseded({ epoch, generation }: Rank): LinkGatewayError<'order'> {
  const message = `order ${epoch}.${generation} or a later one has come already`;
  return new LinkGatewayError('order', { why: 'superseded' }, { message });
}
