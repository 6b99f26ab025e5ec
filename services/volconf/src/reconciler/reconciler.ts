import { dialectOf } from '@spanmesh/proto/dialect';
import type { DialledUp } from '@spanmesh/proto/v1/dial';
import { pauseAfter } from '@spanmesh/runtime/backoff';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Random } from '@spanmesh/runtime/random';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import { OrderError } from '../gateways/gateway-port.ts';
import type { GatewayView, LiveGateway } from '../gateways/gateway-view.ts';
import { JITTER_PART, TIMER_QUANTUM_MS } from '../limits.ts';
import { DialQueue } from './dial-queue.ts';
import { dialRequest, type OrderOptions } from './dial-request.ts';
import { HangUps } from './hang-ups.ts';
import { rendezvous } from './rendezvous.ts';
import {
  comparePlaced,
  type Destination,
  type Placed,
  sameDestination,
  type Target,
  type TargetState,
  visible,
} from './target.ts';
import { TargetTable } from './target-table.ts';
import { TimerHeap } from './timer-heap.ts';

/** Where a target must be connected to from now on; null: nowhere. */
export interface Wish {
  readonly target: Target;
  readonly destination: Destination | null;
}

export interface ReconcilerOptions extends OrderOptions {
  readonly retryFirst: number;
  readonly retryMax: number;
  readonly stableAfter: number;
  readonly maxDials: number;
}

export interface ReconcilerDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly gateways: GatewayView;
  /** Whether orders may be given; asked before each one (architecture.md, "Lease"). */
  readonly mayOrder: () => boolean;
  /** Whether every gateway's snapshot is loaded, or its time is over; asked before each attempt. */
  readonly mayDial: () => boolean;
  /** Whether every gateway's snapshot and the operators' targets are loaded. */
  readonly allHeard: () => boolean;
  /**
   * The wishes that have changed; asked for whenever states may have changed. Each wish is obeyed before the next one
   * is asked for.
   */
  readonly wishes: () => Iterable<Wish>;
  /** Something that users see has changed; `was`: the kind of state before. Must not call the reconciler. */
  readonly changed: (target: Target, was: TargetState['kind']) => void;
  /** A gateway has heard of a later leader. */
  readonly staleEpoch: (heard: number) => void;
}

/**
 * Highest generation that a gateway's report may raise a target to. No leader gives so many orders in a term, so a
 * higher one is invented; the next order's generation must fit the wire.
 */
const MOST_GENERATIONS = 2 ** 31;

/**
 * Keeps every target at its wanted destination, for one leader's term: orders connections from gateways, repeats failed
 * attempts, hangs up. It is called with wishes and with the gateways' reports; for anything else it asks its
 * dependencies, which never call back.
 *
 * A target never has two connections: an attempt is made only when all connections that earlier orders may have left
 * are known to be gone. An order whose outcome is unknown leaves a possible connection, which is hung up by its
 * generation until the gateway has confirmed that, or is gone itself.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #deps: ReconcilerDependencies;
  readonly #targets: TargetTable;
  readonly #heap: TimerHeap<Target>;
  /** Targets whose attempt is due. */
  readonly #queue: DialQueue;
  readonly #hangUps: HangUps;
  #closed = false;
  attemptsMade = 0;
  attemptsFailed = 0;
  connectionsLost = 0;
  adopted = 0;

  constructor(options: ReconcilerOptions, deps: ReconcilerDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#targets = new TargetTable(deps);
    this.#hangUps = new HangUps(options, { ...deps, answered: (target, error) => this.#hungUp(target, error) });
    this.#queue = new DialQueue({ max: options.maxDials });
    this.#heap = new TimerHeap(
      { quantumMs: TIMER_QUANTUM_MS },
      { clock: deps.clock, due: (target) => this.#due(target) },
    );
  }

  /** Targets that want a destination, or have connections left to hang up. */
  get size(): number {
    return this.#targets.size;
  }

  tables(): TableSizes {
    const { size: targets, leftovers } = this.#targets;
    return { targets, leftovers, timers: this.#heap.size, ...this.#queue.tables() };
  }

  /** Hang-ups ordered so far. */
  get hangups(): number {
    return this.#hangUps.ordered;
  }

  get dialling(): number {
    return this.#queue.dialling;
  }

  /** Targets that wait for the time of their next attempt or hang-up. */
  get timers(): number {
    return this.#heap.size;
  }

  targets(): Iterable<Target> {
    return this.#targets;
  }

  get(owner: string): Target | undefined {
    return this.#targets.get(owner);
  }

  /** The target of this owner, with the leftovers of an earlier target of the same owner. */
  target(owner: string, label: string): Target {
    return this.#targets.of(owner, label);
  }

  /** Users are not shown the target any more: it is stopped, and forgotten when nothing is left of it. */
  drop(target: Target): void {
    target.shown = false;
    this.#want(target, null);
    this.#step(target);
    this.reconsider();
  }

  /** Obeys the wishes that have changed. */
  reconsider(): void {
    for (const { target, destination } of this.#deps.wishes()) this.#want(target, destination);
  }

  /**
   * Sets where the target must be connected to from now on. The same object again changes nothing; another object stops
   * the old connection and starts a new one.
   */
  want(target: Target, destination: Destination | null): void {
    this.#want(target, destination);
    this.reconsider();
  }

  #want(target: Target, destination: Destination | null): void {
    if (target.wanted === destination) return;
    const isNew = target.wanted === null;
    target.wanted = destination;
    if (destination === null) {
      this.#leave(target, 'not wanted any more');
      this.#queue.delete(target);
      this.#become(target, { kind: 'stopped' });
      target.failing = false;
    } else {
      const { state } = target;
      if (state.kind === 'running' && isNew && sameDestination(state.destination, destination)) {
        // The connection was established before its destination was wanted.
        this.adopted++;
        this.#become(target, { ...state, destination });
        return;
      }
      this.#leave(target, 'another target');
      target.attempts = 0;
      target.failures = 0;
      target.failing = false;
      this.#become(target, { kind: 'ready' });
    }
    this.#step(target);
  }

  /** A gateway reports an established connection, in its snapshot or just after it was established. */
  up(gateway: GatewayKey, up: DialledUp): void {
    this.#up(gateway, up);
    this.reconsider();
  }

  #up(gateway: GatewayKey, up: DialledUp): void {
    const { owner, epoch, generation } = up;
    const target = this.#targets.of(owner, owner);
    target.generation = Math.min(Math.max(target.generation, generation), MOST_GENERATIONS);
    const placed: Placed = { gateway, epoch, generation };
    const { state } = target;
    if (state.kind === 'running' && same(state.placed, placed)) return;
    if (state.kind === 'dialling' && same(state.placed, placed)) {
      this.#run(target, placed, state.destination, up);
      return;
    }
    const leftover = target.leftovers.get(gateway);
    if (leftover !== undefined && comparePlaced(placed, leftover.placed) <= 0) return;
    const { wanted } = target;
    const there: Destination = { host: up.host, port: up.port, dialect: dialectOf(up.dialect) ?? 'auto' };
    const free = state.kind !== 'running' && state.kind !== 'dialling' && target.leftovers.size === 0;
    if (free && wanted !== null && sameDestination(wanted, there)) {
      this.adopted++;
      this.#run(target, placed, wanted, up);
      return;
    }
    if (free && wanted === null && !this.#deps.allHeard()) {
      // The slot or operator's target that wants it may not be known yet.
      this.#become(target, {
        kind: 'running',
        placed,
        destination: there,
        connection: up.connection,
        remoteAddress: up.remoteAddress,
        upAt: this.#deps.clock.now(),
      });
      return;
    }
    // The connection of the later order is kept; the earlier one is at a gateway that was cut off.
    if (
      state.kind === 'running' &&
      comparePlaced(state.placed, placed) < 0 &&
      wanted !== null &&
      sameDestination(wanted, there)
    ) {
      this.#leaveBehind(target, state.placed, 'a later connection stands');
      this.#run(target, placed, wanted, up);
    } else {
      this.#leaveBehind(target, placed, 'not the connection that counts');
    }
    this.#step(target);
  }

  /** A gateway reports that a connection has ended. */
  down(
    gateway: GatewayKey,
    { owner, epoch, generation, gatewayStops }: Omit<Placed, 'gateway'> & { owner: string; gatewayStops: boolean },
    reason: string,
  ): void {
    const target = this.#targets.get(owner);
    if (target === undefined) return;
    const placed: Placed = { gateway, epoch, generation };
    const { state } = target;
    if (state.kind === 'running' && same(state.placed, placed)) {
      this.#lost(target, `the connection was lost: ${reason}`, gatewayStops);
    } else if (state.kind === 'dialling' && same(state.placed, placed)) {
      // The connection was established and ended before the order was answered.
      this.#failed(target, `the connection was lost: ${reason}`, true);
    } else {
      const leftover = target.leftovers.get(gateway);
      if (leftover !== undefined && same(leftover.placed, placed)) target.leftovers.delete(gateway);
    }
    this.#step(target);
    this.reconsider();
  }

  /**
   * A gateway's snapshot is complete. `standing`: the owners of its connections. Other connections there are gone, or
   * their state is unknown.
   */
  snapshot(gateway: GatewayKey, standing: ReadonlySet<string>): void {
    for (const target of this.#targets) {
      const { state } = target;
      if (state.kind === 'running' && state.placed.gateway === gateway && !standing.has(target.owner)) {
        // The connection may have been established after the snapshot was made.
        this.#leaveBehind(target, state.placed, 'not in the snapshot of its gateway');
        this.#lost(target, 'the connection was lost while its gateway could not be watched');
      }
      const leftover = target.leftovers.get(gateway);
      if (leftover !== undefined) leftover.retryAt = 0;
      this.#step(target);
    }
    this.#pump();
    this.reconsider();
  }

  /** A gateway continues under another id, with all its connections: only users see a difference. */
  renamed(gateway: GatewayKey): void {
    for (const target of this.#targets) {
      const { state } = target;
      const isThere = (state.kind === 'running' || state.kind === 'dialling') && state.placed.gateway === gateway;
      if (isThere && !this.#closed) this.#deps.changed(target, state.kind);
    }
  }

  /** A gateway is gone, with all its connections. */
  gone(gateway: GatewayKey): void {
    for (const target of this.#targets) {
      const { state } = target;
      target.leftovers.delete(gateway);
      if (state.kind === 'running' && state.placed.gateway === gateway) this.#lost(target, 'its gateway is gone', true);
      else if (state.kind === 'dialling' && state.placed.gateway === gateway) {
        this.#failed(target, 'its gateway is gone', true);
      }
      this.#step(target);
    }
    this.#pump();
    this.reconsider();
  }

  /** Hangs up unwanted connections. Called when `allHeard` has become true: earlier, not all wishes are known. */
  hangUpUnwanted(): void {
    for (const target of [...this.#targets]) {
      if (target.wanted !== null || target.state.kind === 'stopped') continue;
      this.#leave(target, 'nobody wants it');
      this.#become(target, { kind: 'stopped' });
      this.#step(target);
    }
    this.reconsider();
  }

  /** Does everything that is due: orders may be given again, or a gateway has appeared. */
  resume(): void {
    for (const target of this.#targets) {
      if (target.leftovers.size > 0) this.#step(target);
    }
    this.#pump();
    this.reconsider();
  }

  /** Ends the term: gives no more orders, and ignores all reports. Established connections remain. */
  close(): void {
    this.#closed = true;
    this.#heap.clear();
    this.#queue.clear();
  }

  #run(
    target: Target,
    placed: Placed,
    destination: Destination,
    up: { connection: number; remoteAddress: string },
  ): void {
    const { connection, remoteAddress } = up;
    target.attempts = 0;
    target.failing = false;
    this.#queue.delete(target);
    this.#heap.remove(target);
    this.#become(target, {
      kind: 'running',
      placed,
      destination,
      connection,
      remoteAddress,
      upAt: this.#deps.clock.now(),
    });
  }

  /** Makes the target's order or connection a leftover. */
  #leave(target: Target, reason: string): void {
    const { state } = target;
    if (state.kind === 'running' || state.kind === 'dialling') this.#leaveBehind(target, state.placed, reason);
  }

  #leaveBehind(target: Target, placed: Placed, reason: string): void {
    if (!this.#hangUps.leaveBehind(target, placed, reason)) return;
    // If the target's attempt was due already, it waits until nothing is left.
    this.#queue.delete(target);
  }

  /** An established connection is lost. */
  #lost(target: Target, why: string, isGatewaysFault = false): void {
    const { state } = target;
    if (state.kind !== 'running') return;
    this.connectionsLost++;
    const stood = this.#deps.clock.now() - state.upAt;
    if (stood >= this.#options.stableAfter) target.failures = 0;
    this.#retry(target, why, isGatewaysFault);
  }

  /** The attempt has failed. `isCertain`: it has left no connection. */
  #failed(target: Target, why: string, isCertain: boolean): void {
    const { state } = target;
    if (state.kind !== 'dialling') return;
    this.attemptsFailed++;
    if (!isCertain) this.#leaveBehind(target, state.placed, 'it is not known whether it stands');
    this.#retry(target, why, false);
  }

  /** Lets the target be dialled again. `atOnce`: without a pause, because the failure was not the target's. */
  #retry(target: Target, why: string, atOnce: boolean): void {
    const { clock, random } = this.#deps;
    target.lastError = why;
    target.lastErrorAt = clock.wall();
    target.failing = true;
    if (target.wanted === null) {
      this.#become(target, { kind: 'stopped' });
    } else if (atOnce) {
      this.#become(target, { kind: 'ready' });
    } else {
      target.failures++;
      const { retryFirst: firstMs, retryMax: maxMs } = this.#options;
      const pauses = { firstMs, maxMs, jitterPart: JITTER_PART };
      const at = clock.now() + pauseAfter(target.failures, pauses, random);
      this.#become(target, { kind: 'waiting', at });
    }
  }

  /** Does what is possible for a target now: hang-ups first, then the attempt. */
  #step(target: Target): void {
    if (this.#closed) return;
    this.#hangUps.step(target);
    if (target.state.kind === 'ready' && target.leftovers.size === 0) {
      this.#queue.add(target);
      this.#pump();
    }
    this.#arm(target);
    if (target.state.kind === 'stopped' && target.leftovers.size === 0 && target.wanted === null) this.#forget(target);
  }

  /** Forgets a target that is not wanted and has no leftovers, unless it is still shown. */
  #forget(target: Target): void {
    this.#heap.remove(target);
    this.#queue.delete(target);
    if (!target.shown) this.#targets.forget(target);
  }

  #arm(target: Target): void {
    const tryAt = target.state.kind === 'waiting' ? target.state.at : Number.POSITIVE_INFINITY;
    const at = Math.min(tryAt, this.#hangUps.dueAt(target));
    if (at === Number.POSITIVE_INFINITY) this.#heap.remove(target);
    else this.#heap.set(target, at);
  }

  #due(target: Target): void {
    const { state } = target;
    if (state.kind === 'waiting' && state.at <= this.#deps.clock.now()) this.#become(target, { kind: 'ready' });
    this.#step(target);
    this.reconsider();
  }

  #hungUp(target: Target, error?: unknown): void {
    if (error !== undefined) this.#noteEpoch(error);
    else if (!this.#closed) this.#deps.changed(target, target.state.kind);
    this.#step(target);
    this.reconsider();
  }

  /** Starts as many attempts as are allowed. */
  #pump(): void {
    while (!this.#closed) {
      const target = this.#queue.next;
      const { gateways, mayOrder, mayDial } = this.#deps;
      if (target === undefined || !mayOrder() || !mayDial()) return;
      const gateway = rendezvous(target.owner, gateways.live(), ({ name }) => name);
      if (gateway === null) {
        this.#noGateway();
        return;
      }
      this.#dial(target, gateway);
    }
  }

  #noGateway(): void {
    const why = 'no link-gateway can be reached';
    for (const target of this.#queue) {
      if (target.lastError === why) continue;
      target.lastError = why;
      target.lastErrorAt = this.#deps.clock.wall();
      this.#deps.changed(target, target.state.kind);
    }
  }

  #dial(target: Target, gateway: LiveGateway): void {
    const { epoch } = this.#options;
    const destination = target.wanted!;
    const generation = ++target.generation;
    target.attempts++;
    this.attemptsMade++;
    const turn = this.#queue.begin(target);
    const placed: Placed = { gateway: gateway.key, epoch, generation };
    const state: TargetState = { kind: 'dialling', placed, destination };
    this.#become(target, state);
    gateway.port
      .dial(dialRequest(target, destination, generation, this.#options))
      .then(
        (answer) => {
          if (target.state === state) this.#run(target, placed, destination, answer);
        },
        (error: unknown) => {
          this.#noteEpoch(error);
          if (target.state !== state) return;
          const isCertain = error instanceof OrderError && error.code === 'failed';
          this.#failed(target, error instanceof Error ? error.message : String(error), isCertain);
        },
      )
      .finally(() => {
        this.#queue.end(turn);
        this.#step(target);
        this.#pump();
        this.reconsider();
      });
  }

  #noteEpoch(error: unknown): void {
    if (this.#closed || !(error instanceof OrderError) || error.code !== 'stale-epoch') return;
    this.#deps.staleEpoch(error.epoch);
  }

  /** The one place where a state changes. */
  #become(target: Target, state: TargetState): void {
    const was = target.state.kind;
    target.state = state;
    if (visible(was) !== visible(state.kind)) target.since = this.#deps.clock.wall();
    if (!this.#closed) this.#deps.changed(target, was);
  }
}

function same(a: Placed, b: Placed): boolean {
  return a.gateway === b.gateway && a.epoch === b.epoch && a.generation === b.generation;
}
