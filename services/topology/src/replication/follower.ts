import { type ServiceError, status } from '@grpc/grpc-js';
import type { FollowRequest, FollowResponse, TreeChange } from '@spanmesh/proto/v1/replication';
import { ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import { Backoff } from '@spanmesh/runtime/backoff';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { Intake, type PausableStream } from '@spanmesh/runtime/grpc/intake';
import { type Job, UNITS_PER_TURN } from '@spanmesh/runtime/grpc/slices';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import { Turn } from '@spanmesh/runtime/turn';
import { WorkList } from '@spanmesh/runtime/work-list';
import { DEFAULT_PIECE_UNITS, type Widths } from '@spanmesh/spantree/tree';
import { History, type HistoryLimits } from '../trees/history.ts';
import type { View } from '../trees/view.ts';
import { Lag } from './lag.ts';
import { REPLICATION_VERSION } from './messages.ts';
import { Replica, ReplicaError } from './replica.ts';

/** Pauses between attempts, ms: doubled each time, each shortened by up to half at random. */
export const FIRST_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 2000;
/** A standby whose trees are older than this, ms, says so in its log. */
export const BEHIND_MS = 2000;
/** The same problem is logged at most once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/** The part of the standby's side of the gRPC stream that is used here. */
export interface FollowClientStream extends PausableStream {
  write(request: FollowRequest): unknown;
  on(event: 'data', fn: (response: FollowResponse) => void): unknown;
  on(event: 'error', fn: (error: ServiceError) => void): unknown;
  on(event: 'end', fn: () => void): unknown;
}

/** A stream to a leader, and the channel below it. */
export interface FollowCall {
  readonly stream: FollowClientStream;
  /** Ends the stream and closes the channel. */
  close(): void;
}

export interface FollowerOptions {
  /** Id of this replica. */
  readonly replica: () => string;
  /** Where others reach this replica's service port, `host:port`. */
  readonly address: () => string;
  /** Version of the software. */
  readonly version: string;
  /** Name of the installation. */
  readonly installation: string;
  /** The settings that must be equal at all replicas, as text. */
  readonly settings: string;
  /**
   * The same options as the leader's: they are among the settings that must be equal, so a leader with others refuses
   * this replica.
   */
  readonly widths: Widths;
  readonly history?: HistoryLimits | undefined;
  /** The version of replication that the standby claims to speak; other than REPLICATION_VERSION only in tests. */
  readonly replicationVersion?: number | undefined;
  /** Units of work in a turn of the event loop; default: UNITS_PER_TURN. */
  readonly unitsPerTurn?: number | undefined;
}

export interface FollowerDeps {
  /** Opens a stream to the leader at this address. */
  readonly open: (address: string) => FollowCall;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  /** Calls in a later turn of the event loop; default: setImmediate. */
  readonly later?: ((turn: () => void) => void) | undefined;
}

/** A replica whose snapshot is complete, and how old its trees are. */
interface Current {
  readonly replica: Replica;
  readonly lag: Lag;
}

/**
 * State of the stream to the leader.
 *   idle       there is nobody to follow
 *   waiting    `timer` starts the next attempt
 *   open       a stream: first nothing but heartbeats, then a snapshot into `building`, then changes of `live`
 */
type FollowState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly address: string; readonly timer: Timer }
  | {
      readonly kind: 'open';
      readonly address: string;
      readonly call: FollowCall;
      building: Replica | undefined;
      live: Current | undefined;
      /** Changes of an unfinished turn of the leader: more of them follow. */
      changes: TreeChange[];
    };
type Open = FollowState & { kind: 'open' };

/**
 * The standby's side of replication. It follows the leader, and keeps the trees that it has until it has newer and
 * complete ones, also while nobody leads.
 */
export class Follower {
  /** Snapshots received so far, and how often the replica differed from the leader's trees. */
  snapshots = 0;
  differences = 0;
  /** Changes passed over so far because this version does not know their kind. */
  unknownChanges = 0;
  /** The leader and its standbys, as the leader reported them last. */
  replicas: readonly ReplicaStatus[] = [];
  readonly #options: FollowerOptions;
  readonly #deps: FollowerDeps;
  readonly #history: History;
  /** Processes the leader's messages, in order. */
  readonly #work: WorkList;
  readonly #pieceUnits: number;
  readonly #throttle: Throttle;
  readonly #acknowledging: Turn;
  #state: FollowState = { kind: 'idle' };
  #current: Current | undefined;
  readonly #backoff: Backoff;
  #heardAt = 0;
  #isBehind = false;
  #watchdog: Timer | undefined;

  constructor(options: FollowerOptions, deps: FollowerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff({ firstMs: FIRST_BACKOFF_MS, maxMs: MAX_BACKOFF_MS }, deps);
    const { unitsPerTurn = UNITS_PER_TURN } = options;
    const { later } = deps;
    this.#work = new WorkList({ perTurn: unitsPerTurn }, { ...(later && { later }) });
    this.#pieceUnits = Math.min(DEFAULT_PIECE_UNITS, unitsPerTurn);
    this.#history = new History(options.history, { random: deps.random, isWhole: () => !this.#work.isBusy });
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
    this.#acknowledging = new Turn(() => this.#acknowledge());
  }

  /** Trees for reads; undefined: no leader's snapshot has been received yet. */
  get view(): View | undefined {
    if (this.#current === undefined) return undefined;
    const { replica, lag } = this.#current;
    const { trees, widths } = replica;
    return { trees, widths, history: this.#history, role: ReplicaRole.REPLICA_ROLE_STANDBY, lagMs: lag.ms };
  }

  /** The standby has a complete snapshot and receives every change. */
  get isLive(): boolean {
    return this.#state.kind === 'open' && this.#state.live !== undefined;
  }

  /** A change of the trees is half done. */
  get isBusy(): boolean {
    return this.#work.isBusy;
  }

  /** Most units of work done in one turn so far. */
  get most(): number {
    return this.#work.most;
  }

  /** Calls `fn` at once, or as soon as no change of the trees is half done. */
  whenIdle(fn: () => void): void {
    this.#work.whenIdle(fn);
  }

  /** Address of the leader that it follows or tries to follow. */
  get leader(): string | null {
    return this.#state.kind === 'idle' ? null : this.#state.address;
  }

  /**
   * Tells the follower the leader's address according to the store; null: there is no leader, or this replica leads.
   */
  leaderIs(address: string | null): void {
    const state = this.#state;
    if (address === this.leader) return;
    // The leader may be about to return, and its stream is still the newest source.
    if (address === null && state.kind === 'open') return;
    this.#letGo();
    if (address === null) return;
    this.#deps.logger.info({ leader: address }, 'leader found');
    this.#backoff.reset();
    this.#connect(address);
  }

  /** Stops following. The trees can still be read. */
  stop(): void {
    this.#letGo();
  }

  /** Drops the trees: this replica leads and has its own now. Watchers are told to list again. */
  forget(): void {
    this.#letGo();
    if (this.#current === undefined) return;
    this.#current = undefined;
    this.#watchdog?.cancel();
    this.#isBehind = false;
    this.replicas = [];
    this.#history.forget();
  }

  /** The one place where the state changes. */
  #become(state: FollowState): void {
    this.#state = state;
  }

  #connect(address: string): void {
    const { open } = this.#deps;
    const call = open(address);
    const state: Open = { kind: 'open', address, call, building: undefined, live: undefined, changes: [] };
    this.#become(state);
    const intake = new Intake(call.stream, this.#work);
    call.stream.on('data', (response) => intake.take(this.#guarded(state, response)));
    call.stream.on('error', (error) => this.#lost(state, error));
    call.stream.on('end', () => this.#lost(state, null));
    const { replica, version, address: own, installation, settings, replicationVersion } = this.#options;
    const protocolVersion = replicationVersion ?? REPLICATION_VERSION;
    const about = { version, protocolVersion, installation, settings };
    const hello = { replica: replica(), address: own(), ...about };
    call.stream.write({ hello });
  }

  *#take(state: Open, response: FollowResponse): Job<void> {
    const { snapshotBegin, snapshot, snapshotEnd, delta, position, counts, replicas, clockMs } = response;
    if (replicas.length > 0) this.replicas = replicas;
    if (snapshotBegin !== undefined) {
      const { widths } = this.#options;
      state.building = new Replica({ widths, pieceUnits: this.#pieceUnits }, { history: this.#history });
    } else if (snapshot !== undefined) {
      if (state.building !== undefined) yield* state.building.applying(snapshot.changes);
    } else if (snapshotEnd !== undefined && state.building !== undefined && position !== undefined) {
      state.building.begin(position);
      state.live = { replica: state.building, lag: new Lag({ clock: this.#deps.clock }) };
      state.building = undefined;
      this.#current = state.live;
      this.snapshots++;
      this.#deps.logger.info({ leader: state.address, epoch: position.epoch, ...counts }, 'following the leader');
    } else if (delta !== undefined) {
      if (state.changes.length === 0) state.changes = delta.changes;
      else for (const change of delta.changes) state.changes.push(change);
      if (delta.more) return;
      const { changes } = state;
      state.changes = [];
      if (state.live !== undefined) yield* state.live.replica.applying(changes);
    }
    // The stream may have ended while changes were taken in.
    if (this.#state !== state) return;
    this.#noteUnknown(state);
    if (state.live === undefined || state.changes.length > 0) return;
    if (counts !== undefined) state.live.replica.check(counts);
    // A heartbeat confirms that the replica equals the leader's trees. Only then is the pause reset: else a difference
    // that recurs would cost the leader a snapshot each time.
    if (delta === undefined && snapshotEnd === undefined) this.#backoff.reset();
    state.live.lag.heard(clockMs);
    this.#heardAt = clockMs;
    this.#acknowledging.request();
    this.#watch(state.live.lag);
  }

  /**
   * Logs changes of unknown kinds, which a leader of another version may send. They make no difference to the trees.
   */
  #noteUnknown({ address, building, live }: Open): void {
    const replica = building ?? live?.replica;
    if (replica === undefined || replica.unknown === 0) return;
    this.unknownChanges += replica.unknown;
    replica.unknown = 0;
    const { log, suppressed } = this.#throttle.admit(`${address} unknown`);
    const about = { leader: address, unknownChanges: this.unknownChanges, suppressed };
    if (log) this.#deps.logger.warn(about, 'the leader tells changes of a kind that is not known here: passed over');
  }

  #acknowledge(): void {
    const state = this.#state;
    if (state.kind !== 'open' || state.live === undefined) return;
    state.call.stream.write({ ack: { clockMs: this.#heardAt, position: this.#history.position } });
  }

  /** Logs that the replica has fallen behind, and that it has caught up. */
  #watch(lag: Lag): void {
    this.#watchdog?.cancel();
    this.#watchdog = this.#deps.clock.after(BEHIND_MS, () => this.#behind(lag));
    if (lag.ms >= BEHIND_MS) this.#behind(lag);
    else if (this.#isBehind) {
      this.#isBehind = false;
      this.#deps.logger.info({ lagMs: Math.round(lag.ms) }, 'the replica has caught up');
    }
  }

  #behind(lag: Lag): void {
    if (this.#isBehind) return;
    this.#isBehind = true;
    this.#deps.logger.warn({ leader: this.leader, lagMs: Math.round(lag.ms) }, 'the replica has fallen behind');
  }

  /**
   * Takes a message in. If the replica differs from the leader's trees, it begins again with a snapshot, and answers
   * from the old trees until then.
   */
  *#guarded(state: Open, response: FollowResponse): Job<void> {
    if (this.#state !== state) return;
    try {
      yield* this.#take(state, response);
    } catch (error) {
      if (this.#state !== state) return;
      this.differences++;
      const data = error instanceof ReplicaError ? error.data : {};
      const { log, suppressed } = this.#throttle.admit(`${state.address} differs`);
      const about = { err: error, leader: state.address, ...data, suppressed };
      if (log) this.#deps.logger.error(about, 'the replica differs from the leader: it begins again with a snapshot');
      this.#retry(state);
    }
  }

  #lost(state: Open, error: ServiceError | null): void {
    if (this.#state !== state) return;
    const { logger } = this.#deps;
    // The leader's version of replication is another one. Reads are passed to the leader, so that nobody reads outdated
    // trees here.
    if (error?.code === status.UNIMPLEMENTED) this.#current = undefined;
    const { log, suppressed } = this.#throttle.admit(state.address);
    if (log) {
      const why = error?.details ?? 'the stream has ended';
      logger.warn(
        { leader: state.address, code: error?.code, why, suppressed },
        'the leader cannot be followed: trying again',
      );
    }
    this.#retry(state);
  }

  #retry(state: Open): void {
    this.#letGo();
    const { clock } = this.#deps;
    const pause = this.#backoff.next();
    const { address } = state;
    this.#become({ kind: 'waiting', address, timer: clock.after(pause, () => this.#connect(address)) });
  }

  #letGo(): void {
    const state = this.#state;
    this.#become({ kind: 'idle' });
    if (state.kind === 'waiting') state.timer.cancel();
    if (state.kind === 'open') state.call.close();
  }
}
