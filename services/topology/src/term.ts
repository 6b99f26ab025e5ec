import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { LeaseState } from '@spanmesh/runtime/lease/lease';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { WorkList } from '@spanmesh/runtime/work-list';
import type { Api } from './api/api.ts';
import type { Commander } from './attach/commander.ts';
import type { GatewayControl } from './attach/gateway-control.ts';
import { type Isolation, STEP_DOWN_MS } from './attach/isolation.ts';
import type { Leadership } from './attach/leadership.ts';
import type { LinkTraces } from './attach/link-traces.ts';
import type { MemberEvents } from './attach/member-events.ts';
import type { Presence } from './attach/presence.ts';
import type { Reaper } from './attach/reaper.ts';
import type { Roster } from './attach/roster.ts';
import type { TakeOver } from './attach/take-over.ts';
import type { Directory } from './directory/directory.ts';
import type { Captures } from './operate/captures.ts';
import type { Drains } from './operate/drains.ts';
import type { Replicas } from './replicas.ts';
import type { Follower } from './replication/follower.ts';
import type { Publisher } from './replication/publisher.ts';
import type { History } from './trees/history.ts';
import type { State } from './trees/state.ts';

/**
 * How often a leader checks what may change with time alone, ms: dead gateways, the replicas, and whether any gateway
 * reaches it.
 */
const TICK_MS = 500;

export interface TermOptions {
  /** Where others reach this replica's service port, `host:port`. */
  readonly address: () => string;
  /** Whether this replica follows the leader while it is a standby. */
  readonly follows: boolean;
}

export interface TermDependencies {
  readonly state: State;
  readonly history: History;
  readonly leadership: Leadership;
  readonly presence: Presence;
  readonly roster: Roster;
  readonly reaper: Reaper;
  readonly members: MemberEvents;
  readonly isolation: Isolation;
  readonly takeOver: TakeOver;
  readonly traces: LinkTraces;
  readonly commander: Commander;
  readonly control: GatewayControl;
  readonly replicas: Replicas;
  readonly publisher: Publisher;
  readonly follower: Follower;
  readonly drains: Drains;
  readonly captures: Captures;
  readonly directory: Directory;
  readonly api: Api;
  readonly work: WorkList;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asks for a flush at the end of this turn. */
  readonly request: () => void;
}

/** Starts and ends everything that belongs to this replica's terms as leader. */
export class Term {
  readonly #options: TermOptions;
  readonly #deps: TermDependencies;
  #epoch = 0;
  #ticking: Timer | undefined;

  constructor(options: TermOptions, deps: TermDependencies) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Call with every change of the lease. */
  leaseChanged(lease: LeaseState): void {
    const { leadership, history, work, control, request } = this.#deps;
    const led = leadership.inTerm;
    const begins = leadership.changed(lease);
    if (begins && lease.kind === 'leading') this.#begin(lease.epoch);
    this.#follow(lease);
    if (lease.kind === 'leading') {
      if (!led) history.restart(lease.epoch);
      if (lease.epoch !== this.#epoch) {
        this.#epoch = lease.epoch;
        history.epoch = lease.epoch;
        work.do(() => control.epochChanged());
      }
      request();
    } else if (led && !leadership.inTerm) {
      this.abdicate('This topology replica does not lead any more: find the one that does.');
    }
  }

  /** Call when entries of gateways in the registry appear, change or go. */
  presenceChanged(): void {
    this.#readRegistry();
    this.#deps.commander.membersChanged();
  }

  /**
   * Ends this replica's leadership: another one leads, or this one stops. The gateways keep their relays as they are.
   */
  abdicate(details: string): void {
    const { publisher, work, drains, captures, control, takeOver, traces, commander, reaper, api, directory } =
      this.#deps;
    // Before everything else: standbys keep their trees, and must not receive the removals below.
    publisher.endAll(details);
    work.clear();
    drains.endAll(details);
    captures.endAll(details);
    control.endAll(details);
    takeOver.ends(details);
    traces.decided(details);
    // Relays that have closed are counted, although nothing is selected any more. Relays that are only forgotten here
    // stay open.
    commander.countGone();
    reaper.clear();
    api.endWatches();
    directory.endAll(details);
    work.run(this.#lettingGo());
  }

  #begin(epoch: number): void {
    const { takeOver, reaper, members, roster, follower, clock } = this.#deps;
    const address = this.#options.address();
    takeOver.begins(epoch, address);
    reaper.clear();
    const gateways = [...(follower.view?.trees.gateways.keys() ?? [])];
    members.termBegins({ address, epoch, gateways });
    // A new leader waits for the gateways in its replica and in the registry (architecture.md, "Attach").
    for (const id of gateways) roster.heard(id);
    this.#readRegistry();
    this.#ticking ??= clock.after(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    const { leadership, isolation, commander, replicas, members, reaper, clock, logger, request } = this.#deps;
    this.#ticking = undefined;
    if (!leadership.inTerm) return;
    this.#ticking = clock.after(TICK_MS, () => this.#tick());
    if (isolation.isCutOff) {
      logger.warn({}, 'gateways are there, but none reaches this leader: another replica may do better');
      leadership.stepDown(STEP_DOWN_MS);
      return;
    }
    commander.replicasAre(replicas.addresses());
    members.look();
    if (reaper.isWaiting) request();
  }

  #readRegistry(): void {
    const { leadership, presence, work, reaper } = this.#deps;
    if (leadership.inTerm && presence.isComplete) work.run(reaper.registering());
  }

  #follow(lease: LeaseState): void {
    const { follower } = this.#deps;
    if (!this.#options.follows) return;
    if (lease.kind !== 'standby') follower.stop();
    else follower.leaderIs(lease.holder === null || lease.holder.address === '' ? null : lease.holder.address);
  }

  *#lettingGo(): Job<void> {
    const { state, history } = this.#deps;
    for (const gateway of [...state.gateways.values()]) yield* state.removing(gateway);
    state.trees.tree.forgetGone();
    history.restart(this.#epoch);
  }
}
