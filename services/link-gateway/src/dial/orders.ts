import type { Clock } from '@spanmesh/runtime/clock';
import type { CloseReason } from '../connection/close-reason.ts';
import { LinkGatewayError } from '../gateway-error.ts';
import { MAX_DIAL_OWNERS } from '../limits.ts';
import type { Peer } from '../peers/peer.ts';
import { DialAttempt } from './dial-attempt.ts';
import type { DialledConnection, Order } from './dialled-connection.ts';
import type { Dialler } from './dialler.ts';
import type { MediaEvents } from './media-events.ts';

/** What is known of an owner: the highest order heard, and what is there. Kept as a fence when nothing is there. */
interface Owner {
  epoch: number;
  generation: number;
  attempt: DialAttempt | null;
}

/**
 * What volconf has ordered, by owner (dial.proto, "Dial"): one connection an owner, the order with the highest (epoch,
 * generation) counts, whatever order they arrive in and however often.
 */
export class Orders {
  readonly #deps: { readonly dialler: Dialler; readonly events: MediaEvents; readonly clock: Clock };
  readonly #owners = new Map<string, Owner>();
  /** Of every socket that was made to order and has not closed. */
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

  /** Owners that are known, those with nothing there included. */
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
   * Refuses a leader whose time is over, and makes room for a new one: what a former one has begun and not completed ends, so
   * that what is established now is all that there is from before. What is established is left alone: the new leader takes it over.
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
   * The connection for an order, made, or there already; the owner's connection before is closed first.
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
    if (rank === 0 && owner.attempt?.live === true && compare(order, owner.attempt.order) === 0)
      return owner.attempt.result;
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
   * Closes what an owner has of this (epoch, generation) or below, and lets none of those come any more. True if there was
   * something; resolves when its socket is closed.
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

  /** A connection's socket has closed: for those that were dialled to order. */
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

  /** The oldest that has nothing here. */
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
