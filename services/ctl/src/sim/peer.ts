import { connect, type Socket } from 'node:net';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Secured } from '@spanmesh/dmsg-socket/handshake/handshaker';
import type { HostPort } from '@spanmesh/runtime/address';
import type { Random } from '@spanmesh/runtime/random';
import type { Part } from './cast.ts';
import { SimLink } from './link.ts';
import type { Requester } from './requester.ts';
import type { SimKeys } from './sim-keys.ts';
import { NO_SERVICE, type SpanService } from './span-service.ts';

/**
 * First and longest wait before another attempt to connect, in milliseconds; each is shortened at random by up to half.
 */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;
/** Longest wait for a connection to be made, in milliseconds. */
const CONNECT_WAIT_MS = 5000;

export interface SimPeerOptions extends Part {
  /** Address of the router. */
  readonly connect: HostPort;
}

export interface SimPeerDependencies {
  /** Spreads the peers' attempts to connect. */
  readonly random: Random;
  readonly events?: Partial<SimPeerEvents>;
  /** The keys for encryption. Default, and null: plaintext. */
  readonly keys?: SimKeys | null;
  /** The service on its spans. Default: none. */
  readonly service?: SpanService;
  /** Uses the spans that are relayed to the peer. Default: they stay unused. */
  readonly requester?: Requester;
}

export interface SimPeerEvents {
  /** The connection is up: LNK_CONNs are open both ways, spans are offered. */
  onUp(peer: SimPeer): void;
  /** The connection was lost, or an attempt failed; the peer tries again by itself. */
  onDown(peer: SimPeer, reason: string): void;
  /** The router opened a relay to us. */
  onRelay(peer: SimPeer): void;
}

/** A span of a peer: offered whenever the peer is connected, unless withdrawn. */
interface Offer {
  readonly span: LnkSpan;
  isWithdrawn: boolean;
  /** Its transaction on the current connection; null: not offered there. */
  tx: Transaction | null;
}

/**
 * A simulated DMSG peer over TCP: it connects, opens LNK_CONN, offers its spans, acknowledges relays, answers PING and
 * requests to its service, and reconnects when the connection is lost. Call `start` and `stop` once each.
 */
export class SimPeer {
  /** Relays that the router has opened to us, on all connections so far. */
  relaysSeen = 0;
  /** LNK_SPANs that we have opened, on all connections so far. */
  spansOpened = 0;

  readonly #options: SimPeerOptions;
  readonly #random: Random;
  readonly #events: Partial<SimPeerEvents>;
  readonly #service: SpanService;
  readonly #requester: Requester | null;
  readonly #keys: SimKeys | null;
  readonly #offers: Offer[];
  #socket: Socket | null = null;
  #link: SimLink | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #attempts = 0;
  #stopping = false;
  #stopped: PromiseWithResolvers<void> | null = null;

  constructor(
    options: SimPeerOptions,
    { random, events = {}, keys, service = NO_SERVICE, requester }: SimPeerDependencies,
  ) {
    this.#options = options;
    this.#random = random;
    this.#events = events;
    this.#service = service;
    this.#requester = requester ?? null;
    this.#keys = keys ?? null;
    this.#offers = options.spans.map((span) => ({ span, isWithdrawn: false, tx: null }));
  }

  /** Whether LNK_CONNs are open in both directions. */
  get isUp(): boolean {
    return this.#link?.isUp === true;
  }

  /** Spans that are offered. */
  get spansOffered(): number {
    return this.#link?.offered ?? 0;
  }

  /** Relays that the router has open to us. */
  get relays(): number {
    return this.#link?.relays ?? 0;
  }

  /** Number of the peer's spans, offered or withdrawn. */
  get spanCount(): number {
    return this.#offers.length;
  }

  /** Connects, and reconnects whenever the connection is lost. */
  start(): void {
    this.#connect();
  }

  /** Closes spans, LNK_CONN and the connection, in this order; resolves when that is done. */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#stopped ??= Promise.withResolvers();
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    if (this.#link !== null) this.#link.close();
    else if (this.#socket !== null) this.#socket.destroy();
    else this.#stopped.resolve();
    return this.#stopped.promise;
  }

  /** Withdraws span `n`, until it is offered again. */
  withdraw(n: number): void {
    const offer = this.#offers[n];
    if (offer === undefined) return;
    offer.isWithdrawn = true;
    if (offer.tx !== null) this.#link?.withdraw(offer.tx);
    offer.tx = null;
  }

  /** Offers span `n` again. */
  offer(n: number): void {
    const offer = this.#offers[n];
    if (offer === undefined) return;
    offer.isWithdrawn = false;
    this.#open(offer);
  }

  #connect(): void {
    const socket = connect({ ...this.#options.connect, timeout: CONNECT_WAIT_MS });
    this.#socket = socket;
    let reason = 'the connection was lost';
    const onTimeout = (): void => {
      socket.destroy(new Error('nothing answers'));
    };
    const onError = (error: Error): void => {
      reason = error.message;
    };
    const onClose = (): void => this.#ended(reason);
    socket.once('timeout', onTimeout).once('error', onError).once('close', onClose);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('timeout', onTimeout).off('error', onError).off('close', onClose);
      if (this.#keys === null) {
        this.#connected(socket, null);
        return;
      }
      this.#keys.secure(socket, (result) => {
        if (typeof result === 'string') this.#ended(result);
        else this.#connected(socket, result);
      });
    });
  }

  #connected(socket: Socket, secured: Secured | null): void {
    const link = new SimLink(this.#options, {
      socket,
      secured,
      service: this.#service,
      requester: this.#requester,
      events: {
        onUp: () => {
          this.#attempts = 0;
          for (const offer of this.#offers) this.#open(offer);
          this.#events.onUp?.(this);
        },
        onRelay: () => {
          this.relaysSeen++;
          this.#events.onRelay?.(this);
        },
        onEnd: (why) => this.#ended(why ?? 'closed'),
      },
    });
    this.#link = link;
    if (this.#stopping) link.close();
  }

  #open(offer: Offer): void {
    // A span whose transaction the router has closed may be offered again.
    if (offer.isWithdrawn || offer.tx?.ended === false || this.#link === null) return;
    offer.tx = this.#link.offer(offer.span);
    if (offer.tx !== null) this.spansOpened++;
  }

  #ended(reason: string): void {
    this.#socket = null;
    this.#link = null;
    for (const offer of this.#offers) offer.tx = null;
    if (this.#stopping) {
      this.#stopped?.resolve();
      return;
    }
    const longest = Math.min(FIRST_RETRY_MS * 2 ** this.#attempts++, LONGEST_RETRY_MS);
    this.#retryTimer = setTimeout(() => this.#connect(), longest * (0.5 + this.#random() / 2));
    this.#events.onDown?.(this, reason);
  }
}
