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

/** What a handshake ended with: the ciphers, and what followed it already. */
export interface Secured extends CipherPair {
  readonly rest: Uint8Array;
}

/**
 * Why one failed: an error of the protocol by its name, or `timeout`, `closed` (by the peer), `limited` (too many before it have failed),
 * `stopping`, `internal`.
 */
export interface HandshakeFailure {
  readonly failure: string;
  /** Which check (handshake.ts); nothing of what was checked. */
  readonly check?: unknown;
  /** A fault of this program. */
  readonly err?: unknown;
}

export interface HandshakerOptions {
  /** How long a handshake may take, in milliseconds; and when one that fails is closed, whatever was wrong. */
  readonly timeoutMs: number;
  readonly total: number;
  readonly perAddress: number;
  /** true: one that fails is closed at once, which shows what was wrong: for keys that guard nothing. */
  readonly closesAtOnce?: boolean;
}

export interface HandshakerDependencies {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly replays: ReplayMemory;
  /** null: as many as like may fail. */
  readonly failures: FailureLimit | null;
  /** Told when an address has come to its share of those that may be under way. */
  readonly shareLimited?: (limit: PoolLimit) => void;
  /** Default: those of OpenSSL. */
  readonly steps?: RsaSteps;
}

/** Why another handshake cannot begin now: too many are under way, or too many have failed. */
export type HandshakesFull = Full | `failed-${FailingOf}`;

type Encrypted = Extract<PeerAccess, { kind: 'encrypted' }>;
type Done = (result: Secured | HandshakeFailure) => void;

/**
 * Runs the handshakes of new connections, accepted and dialled (protocol.md, "Crypto": Handshake), and bounds what they cost: how many
 * are under way, how long each may take, how many may fail, and RSA one step every few turns.
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

  /** Handshakes under way, those included that have failed and are not closed yet. */
  get total(): number {
    return this.#places.held;
  }

  /** Those that have failed, and are closed when their time is over. */
  get failed(): number {
    return this.#failed.size;
  }

  /** Why another one with this address and these keys cannot begin now; null: it can. */
  full(address: string, access: Encrypted): HandshakesFull | null {
    const failing = this.#deps.failures?.limited(addressPrincipal(address), keyPrincipal(access.peer)) ?? null;
    if (failing !== null) return `failed-${failing}`;
    const full = this.#places.peek(addressPrincipal(address));
    return full === 'share' ? 'address' : full;
  }

  /**
   * Begins one on a connected socket that nobody reads; `full` must have been asked. `done` is called once: with the ciphers, the
   * socket paused and without listeners; or with why not, the socket destroyed.
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
    // Whoever has most under way gives way; `full` has said that there is somebody.
    const place = this.#places.open(addressPrincipal(address), pending);
    this.#places.take(place);
    this.#pending.add(pending);
    pending.start(this.#timeoutMs);
  }

  /** Ends those that are under way. */
  stop(): void {
    for (const pending of this.#pending) pending.end({ failure: 'stopping' });
  }
}

/**
 * How far a handshake has come; changed in `#become` only.
 *   waiting   for its turn to speak
 *   listening for the peer's 512 bytes
 *   reading   they are here: for its turn to read them
 *   failed    until the time is over, so that nobody can tell by it what was wrong
 *   over      the socket is closed, or handed over
 */
type State =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'listening'; readonly handshake: Handshake; received: number }
  | { readonly kind: 'reading'; readonly handshake: Handshake }
  | { readonly kind: 'failed'; readonly failure: HandshakeFailure }
  | { readonly kind: 'over' };

interface PendingDependencies extends HandshakerDependencies {
  readonly queue: FairQueue;
  /** It has failed, and is not closed yet. */
  readonly failed: () => void;
}

/** One handshake. */
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

  /** Closes it now. What it had failed of before is told rather than `failure`. */
  end(failure: HandshakeFailure): void {
    const state = this.#state;
    if (state.kind === 'over') return;
    this.#leave();
    // Its errors are nobody's business any more, and must not be unhandled.
    this.#socket.on('error', () => {});
    this.#socket.destroy();
    this.#done(state.kind === 'failed' ? state.failure : failure);
  }

  /** It has failed, and is closed when its time is over. What the peer does until then is not looked at. */
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
    // Whole: what follows stays in the kernel until it can be decrypted.
    this.#socket.pause();
    this.#become({ kind: 'reading', handshake });
    this.#turn = this.#deps.queue.add(addressPrincipal(this.#address), () =>
      this.#guard(() => this.#finish(handshake, chunk)),
    );
  }

  #finish(handshake: Handshake, chunk: Buffer): void {
    // Once more: others with this address or key may have failed since it began.
    if (this.#isLimited()) return;
    const read = handshake.push(chunk);
    if (read === null) return;
    const result = { ...cipherPair(handshake.session, read.session, this.#access.tagged), rest: read.rest };
    this.#leave();
    this.#done(result);
  }

  /** Before any RSA. */
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

  /** Whatever the peer's bytes lead to costs this socket only. */
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
