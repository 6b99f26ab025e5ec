import type { Socket } from 'node:net';
import { HANDSHAKE_BYTES, Handshake, type RandomBytes } from '@spanmesh/dmsg/crypto/handshake';
import type { ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import type { RsaSteps } from '@spanmesh/dmsg/crypto/rsa-steps';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';
import { Pool, type PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { Full } from '../address/address-count.ts';
import type { PeerAccess } from '../keys/peer-rules.ts';
import { keyPrincipal } from '../keys/principal.ts';
import { type CipherPair, cipherPair } from './cipher-pair.ts';
import type { FailingOf, FailureLimit } from './failure-limit.ts';
import { FairQueue, type Queued } from './fair-queue.ts';

/** The result of a successful handshake: the ciphers, and the bytes that had come after it. */
export interface Secured extends CipherPair {
  readonly rest: Uint8Array;
}

/**
 * Why a handshake failed: an error of the protocol by its name, or `timeout`, `closed` (by the peer), `limited` (too
 * many have failed before), `stopping`, `internal`.
 */
export interface HandshakeFailure {
  readonly failure: string;
  /** Which check failed (handshake.ts); contains nothing of the checked bytes. */
  readonly check?: unknown;
  /** The exception, if it is a fault of this program. */
  readonly err?: unknown;
}

export interface HandshakerOptions {
  /**
   * How long a handshake may take, in milliseconds. A failed one is closed only when this time is over, whatever was
   * wrong.
   */
  readonly timeoutMs: number;
  readonly total: number;
  readonly perAddress: number;
  /** true: a failed handshake is closed at once, although that shows what was wrong. For keys that guard nothing. */
  readonly closesAtOnce?: boolean;
}

export interface HandshakerDependencies {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly replays: ReplayMemory;
  /** null: any number may fail. */
  readonly failures: FailureLimit | null;
  /** Called when an address has reached its share of the handshakes under way. */
  readonly shareLimited?: (limit: PoolLimit) => void;
  /** Default: OpenSSL's operations. */
  readonly steps?: RsaSteps;
}

/** Why another handshake cannot begin now: too many are under way, or too many have failed. */
export type HandshakesFull = Full | `failed-${FailingOf}`;

type Encrypted = Extract<PeerAccess, { kind: 'encrypted' }>;
type Done = (result: Secured | HandshakeFailure) => void;

/**
 * Runs the handshakes of new connections, accepted and dialled (protocol.md, "Crypto": Handshake), and limits what they
 * cost: how many are under way, how long each may take and how many may fail. RSA is done one step every few turns.
 */
export class Handshaker {
  readonly #timeoutMs: number;
  readonly #closesAtOnce: boolean;
  readonly #deps: HandshakerDependencies;
  readonly #places: Pool<Pending>;
  readonly #queue = new FairQueue();
  readonly #pending = new Set<Pending>();
  readonly #failed = new Set<Pending>();

  constructor(options: HandshakerOptions, deps: HandshakerDependencies) {
    this.#timeoutMs = options.timeoutMs;
    this.#closesAtOnce = options.closesAtOnce ?? false;
    this.#places = new Pool(
      { resource: 'handshakes', total: options.total, share: options.perAddress },
      { evict: (pending) => pending.end({ failure: 'limited' }), limited: deps.shareLimited ?? (() => {}) },
    );
    this.#deps = deps;
  }

  /** Handshakes under way, including those that have failed and are not closed yet. */
  get total(): number {
    return this.#places.held;
  }

  /** Handshakes that have failed and are closed when their time is over. */
  get failed(): number {
    return this.#failed.size;
  }

  /** Why another handshake with this address and these keys cannot begin now; null: it can. */
  full(address: string, access: Encrypted): HandshakesFull | null {
    const failing = this.#deps.failures?.limited(addressPrincipal(address), keyPrincipal(access.peer)) ?? null;
    if (failing !== null) return `failed-${failing}`;
    const full = this.#places.peek(addressPrincipal(address));
    return full === 'share' ? 'address' : full;
  }

  /**
   * Begins a handshake on a connected socket that nobody reads; the caller has asked `full` before. `done` is called
   * once: with the ciphers, the socket being paused and without listeners; or with a failure, the socket being
   * destroyed.
   */
  start(socket: Socket, address: string, access: Encrypted, done: Done): void {
    const over: Done = (result) => {
      this.#pending.delete(pending);
      this.#places.close(place);
      this.#failed.delete(pending);
      done(result);
    };
    const failed = (): void => {
      this.#failed.add(pending);
      if (this.#closesAtOnce) pending.end({ failure: 'closed' });
    };
    const pending: Pending = new Pending(socket, address, access, { ...this.#deps, queue: this.#queue, failed }, over);
    // Where all places are taken, an address with most of them loses one to this address; `full` has made sure that
    // there is one.
    const place = this.#places.open(addressPrincipal(address), pending);
    this.#places.take(place);
    this.#pending.add(pending);
    pending.start(this.#timeoutMs);
  }

  /** Ends all handshakes under way. */
  stop(): void {
    for (const pending of this.#pending) pending.end({ failure: 'stopping' });
  }
}

/**
 * How far a handshake has come; changed in `#become` only.
 * * waiting: for its turn to send our half.
 * * listening: for the peer's 512 bytes.
 * * reading: the 512 bytes are here; it waits for its turn to verify them.
 * * failed: until its time is over, so that the moment of closing does not show what was wrong.
 * * over: the socket is closed, or handed over.
 */
type State =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'listening'; readonly handshake: Handshake; received: number }
  | { readonly kind: 'reading'; readonly handshake: Handshake }
  | { readonly kind: 'failed'; readonly failure: HandshakeFailure }
  | { readonly kind: 'over' };

interface PendingDependencies extends HandshakerDependencies {
  readonly queue: FairQueue;
  /** Called when the handshake has failed and is not closed yet. */
  readonly failed: () => void;
}

/** The handshake of one socket. */
class Pending {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #access: Encrypted;
  readonly #deps: PendingDependencies;
  readonly #done: Done;
  #state: State = { kind: 'waiting' };
  #timer: Timer | null = null;
  #turn: Queued | null = null;

  readonly #onData = (chunk: Buffer) => this.#take(chunk);
  readonly #onEnd = () => this.end({ failure: 'closed' });

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
    this.#timer = clock.after(timeoutMs, () => this.end({ failure: 'timeout' }));
    this.#turn = queue.add(addressPrincipal(this.#address), () => this.#guard(() => this.#speak()));
  }

  /**
   * Ends the handshake now and closes its socket. If it had failed before, that failure is reported instead of
   * `failure`.
   */
  end(failure: HandshakeFailure): void {
    const state = this.#state;
    if (state.kind === 'over') return;
    this.#leave();
    // Errors of the destroyed socket must be handled, though nobody needs them.
    this.#socket.on('error', () => {});
    this.#socket.destroy();
    this.#done(state.kind === 'failed' ? state.failure : failure);
  }

  /** The handshake has failed; it is closed when its time is over. Until then the peer's bytes are not looked at. */
  #fail(failure: HandshakeFailure): void {
    if (this.#state.kind === 'over' || this.#state.kind === 'failed') return;
    this.#turn?.cancel();
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).pause();
    this.#become({ kind: 'failed', failure });
    this.#deps.failed();
  }

  /** protocol.md, "Crypto": Handshake: each side sends its 512 bytes at once, not waiting. */
  #speak(): void {
    if (this.#isLimited()) return;
    const { steps } = this.#deps;
    const { own, peer, bound } = this.#access;
    const { random, replays } = this.#deps;
    const remembered = { admit: (session: Uint8Array) => replays.admit(session, keyPrincipal(peer)) };
    const handshake = new Handshake(
      { own, peer },
      { random, replays: remembered },
      { mustBind: bound, ...(steps && { steps }) },
    );
    this.#become({ kind: 'listening', handshake, received: 0 });
    this.#socket.write(handshake.wire);
    this.#socket.on('data', this.#onData);
    this.#socket.resume();
  }

  #take(chunk: Buffer): void {
    const state = this.#state;
    if (state.kind !== 'listening') return;
    const { handshake } = state;
    state.received += chunk.length;
    if (state.received < HANDSHAKE_BYTES) {
      handshake.push(chunk);
      return;
    }
    // All 512 bytes are here: later bytes stay in the kernel until they can be decrypted.
    this.#socket.pause();
    this.#become({ kind: 'reading', handshake });
    this.#turn = this.#deps.queue.add(addressPrincipal(this.#address), () =>
      this.#guard(() => this.#finish(handshake, chunk)),
    );
  }

  #finish(handshake: Handshake, chunk: Buffer): void {
    // Checked again: others with this address or key may have failed since it began.
    if (this.#isLimited()) return;
    const read = handshake.push(chunk);
    if (read === null) return;
    const result = { ...cipherPair(handshake.session, read.session, this.#access.tagged), rest: read.rest };
    this.#leave();
    this.#done(result);
  }

  /** Fails the handshake if too many others have failed. Called before any RSA. */
  #isLimited(): boolean {
    const limited =
      this.#deps.failures?.limited(addressPrincipal(this.#address), keyPrincipal(this.#access.peer)) ?? null;
    if (limited !== null) this.#fail({ failure: 'limited', check: limited });
    return limited !== null;
  }

  #become(state: State): void {
    this.#state = state;
  }

  #leave(): void {
    this.#become({ kind: 'over' });
    this.#timer?.cancel();
    this.#turn?.cancel();
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onEnd).off('close', this.#onEnd);
  }

  /** Runs a step; an exception ends only this handshake. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (err) {
      if (this.#state.kind === 'over') throw err;
      if (!(err instanceof DmsgError)) {
        this.#fail({ failure: 'internal', err });
        return;
      }
      if (err.code === ErrorCode.KEYXCHGFAIL) {
        this.#deps.failures?.count(addressPrincipal(this.#address), keyPrincipal(this.#access.peer));
      }
      this.#fail({ failure: errorName(err.code), check: err.data.check });
    }
  }
}
