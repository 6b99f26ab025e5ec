import type { Socket } from 'node:net';
import { HANDSHAKE_BYTES, Handshake, type RandomBytes } from '@spanmesh/dmsg/crypto/handshake';
import type { ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { errorName } from '@spanmesh/dmsg/error-code';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { AddressCount, type Full } from '../address-count.ts';
import type { PeerAccess } from '../keys/peer-rules.ts';
import { type CipherPair, cipherPair } from './cipher-pair.ts';
import { FairQueue, type Queued } from './fair-queue.ts';

/** What a handshake ended with: the ciphers, and what followed it already. */
export interface Secured extends CipherPair {
  readonly rest: Uint8Array;
}

/** Why one failed: an error of the protocol by its name, or `timeout`, `closed` (by the peer), `stopping`, `internal`. */
export interface HandshakeFailure {
  readonly failure: string;
  /** Which check (handshake.ts); nothing of what was checked. */
  readonly check?: unknown;
  /** A fault of this program. */
  readonly err?: unknown;
}

export interface HandshakerOptions {
  /** How long a handshake may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly total: number;
  readonly perAddress: number;
}

type Encrypted = Extract<PeerAccess, { kind: 'encrypted' }>;
type Done = (result: Secured | HandshakeFailure) => void;

/**
 * Runs the handshakes of new connections, accepted and dialled (protocol.md, "Crypto": Handshake), and bounds what they cost: how many
 * are under way, how long each may take, and RSA one step every few turns.
 */
export class Handshaker {
  readonly #timeoutMs: number;
  readonly #deps: { readonly clock: Clock; readonly random: RandomBytes; readonly replays: ReplayMemory };
  readonly #count: AddressCount;
  readonly #queue = new FairQueue();
  readonly #pending = new Set<Pending>();

  constructor(options: HandshakerOptions, deps: { clock: Clock; random: RandomBytes; replays: ReplayMemory }) {
    this.#timeoutMs = options.timeoutMs;
    this.#count = new AddressCount(options);
    this.#deps = deps;
  }

  /** Handshakes under way. */
  get total(): number {
    return this.#count.total;
  }

  /** Why another one with this address cannot begin now; null: it can. */
  full(address: string): Full | null {
    return this.#count.full(address);
  }

  /**
   * Begins one on a connected socket that nobody reads; `full` must have been asked. `done` is called once: with the ciphers, the
   * socket paused and without listeners; or with why not, the socket destroyed.
   */
  start(socket: Socket, address: string, access: Encrypted, done: Done): void {
    this.#count.take(address);
    const pending = new Pending(socket, address, access, { ...this.#deps, queue: this.#queue }, (result) => {
      this.#pending.delete(pending);
      this.#count.release(address);
      done(result);
    });
    this.#pending.add(pending);
    pending.start(this.#timeoutMs);
  }

  /** Ends those that are under way. */
  stop(): void {
    for (const pending of this.#pending) pending.fail({ failure: 'stopping' });
  }
}

interface PendingDependencies {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly replays: ReplayMemory;
  readonly queue: FairQueue;
}

/**
 * One handshake: it waits for its turn, speaks, takes the peer's 512 bytes, waits for its turn, reads them, is over. Anything that goes
 * wrong leads to over, too.
 */
class Pending {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #access: Encrypted;
  readonly #deps: PendingDependencies;
  readonly #done: Done;
  #handshake: Handshake | null = null;
  #received = 0;
  #timer: Timer | null = null;
  #turn: Queued | null = null;
  #over = false;

  readonly #onData = (chunk: Buffer) => this.#take(chunk);
  readonly #onEnd = () => this.fail({ failure: 'closed' });

  constructor(socket: Socket, address: string, access: Encrypted, deps: PendingDependencies, done: Done) {
    this.#socket = socket;
    this.#address = address;
    this.#access = access;
    this.#deps = deps;
    this.#done = done;
  }

  start(timeoutMs: number): void {
    const { clock, queue } = this.#deps;
    this.#socket.on('end', this.#onEnd).on('error', this.#onEnd).on('close', this.#onEnd);
    this.#timer = clock.after(timeoutMs, () => this.fail({ failure: 'timeout' }));
    this.#turn = queue.add(this.#address, () => this.#guard(() => this.#speak()));
  }

  fail(failure: HandshakeFailure): void {
    if (this.#over) return;
    this.#leave();
    // Its errors are nobody's business any more, and must not be unhandled.
    this.#socket.on('error', () => {});
    this.#socket.destroy();
    this.#done(failure);
  }

  /** protocol.md, "Crypto": Handshake: each side sends its 512 bytes at once, not waiting. */
  #speak(): void {
    const { own, peer } = this.#access;
    this.#handshake = new Handshake({ own, peer }, this.#deps);
    this.#socket.write(this.#handshake.wire);
    this.#socket.on('data', this.#onData);
    this.#socket.resume();
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#received < HANDSHAKE_BYTES) {
      this.#handshake!.push(chunk);
      return;
    }
    // Whole: what follows stays in the kernel until it can be decrypted.
    this.#socket.pause();
    this.#turn = this.#deps.queue.add(this.#address, () => this.#guard(() => this.#finish(chunk)));
  }

  #finish(chunk: Buffer): void {
    const handshake = this.#handshake!;
    const { session, rest } = handshake.push(chunk)!;
    const result = { ...cipherPair(handshake.session, session, this.#access.tagged), rest };
    this.#leave();
    this.#done(result);
  }

  #leave(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#turn?.cancel();
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onEnd).off('close', this.#onEnd);
  }

  /** Whatever the peer's bytes lead to costs this socket only. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (err) {
      if (err instanceof DmsgError) this.fail({ failure: errorName(err.code), check: err.data.check });
      else if (this.#over) throw err;
      else this.fail({ failure: 'internal', err });
    }
  }
}
