import type { Socket } from 'node:net';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import type { Frame } from '@spanmesh/dmsg/frame';
import { SaltSequence } from '@spanmesh/dmsg/salt';
import { systemClock } from '@spanmesh/runtime/clock';
import { Turn } from '@spanmesh/runtime/turn';
import type { CipherPair } from '../handshake/cipher-pair.ts';
import { DmsgSocket, type DmsgSocketOwner } from './dmsg-socket.ts';

/** Handles what a peer opens and sends (EndpointHandler), and the events of the socket (as DmsgSocketOwner). */
export interface PeerEndHandler extends EndpointHandler {
  /** A read is over: all its messages have been handled. */
  onRead?(): void;
  onFailed(thrown: unknown): void;
  onFin(): void;
  onBroken?(error: NodeJS.ErrnoException): void;
  onClose?(): void;
}

export interface PeerEndDependencies {
  /** A connected socket that nobody reads or listens to. */
  readonly socket: Socket;
  readonly handler: PeerEndHandler;
  /** The cipher that the handshake has made; null, and by default: plaintext. */
  readonly cipher?: CipherPair | null;
}

/**
 * A peer's end of a connection to a router, for peers of our own (tests, `ctl sim`): an endpoint on a socket. Messages
 * are written at the end of the turn. Nothing is limited: code that must not trust the other side uses DmsgSocket.
 */
export class PeerEnd implements DmsgSocketOwner {
  readonly endpoint: Endpoint;
  readonly #handler: PeerEndHandler;
  readonly #wire: DmsgSocket;
  readonly #turn = new Turn(() => this.flush());

  /** Reads nothing until `begin`. */
  constructor({ rules }: { readonly rules: DialectRules }, { socket, handler, cipher = null }: PeerEndDependencies) {
    this.#handler = handler;
    this.#wire = new DmsgSocket(
      { rules, limitBytes: Number.POSITIVE_INFINITY, stallMs: null },
      { socket, cipher, clock: systemClock, owner: this, counts: { bytesIn: 0, bytesOut: 0 } },
    );
    const { out } = this.#wire.queue;
    this.endpoint = new Endpoint({ rules }, { out, handler, salts: new SaltSequence() });
  }

  /** The socket in use. It need not be the one that was given, which may be closed. */
  get socket(): Socket {
    return this.#wire.socket;
  }

  /** Bytes that the kernel has not taken yet, those in the socket included. */
  get queuedBytes(): number {
    return this.#wire.queue.bytes;
  }

  /** Starts reading: `first`, then what the socket receives. */
  begin(first: Uint8Array | null = null): void {
    this.#wire.begin(first);
    this.#wire.resume();
  }

  /** Writes what was sent, without waiting for the end of the turn. */
  flush(): void {
    if (!this.socket.destroyed) this.#wire.flush();
  }

  /** Sends FIN after everything that was sent. */
  finish(): void {
    this.#wire.finish();
  }

  /** Closes the connection; what was sent and has not left is lost. */
  cut(): void {
    this.#wire.cut();
  }

  beforeRead(): boolean {
    return !this.endpoint.isLost;
  }

  afterRead(): void {
    this.#handler.onRead?.();
  }

  onFrame(frame: Frame): void {
    this.endpoint.receive(frame);
  }

  onFailed(thrown: unknown): void {
    this.#handler.onFailed(thrown);
  }

  onFin(): void {
    this.#handler.onFin();
  }

  onBroken(error: NodeJS.ErrnoException): void {
    this.#handler.onBroken?.(error);
  }

  onClose(): void {
    this.#wire.stopReading();
    this.#wire.queue.discard();
    this.#handler.onClose?.();
  }

  flushLater(): void {
    this.#turn.request();
  }

  drained(): void {}

  overLimit(): void {}

  stalled(): void {}
}
