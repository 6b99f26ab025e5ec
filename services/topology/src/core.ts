import { ReplicaRole } from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';
import { type EventTeller, NO_EVENTS } from '@spanmesh/runtime/events/event-teller';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { type Job, UNITS_PER_TURN } from '@spanmesh/runtime/grpc/slices';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import type { Explained, TableSizes } from '@spanmesh/runtime/table-sizes';
import type { Tracing } from '@spanmesh/runtime/trace/tracing';
import { Turn } from '@spanmesh/runtime/turn';
import { WorkList } from '@spanmesh/runtime/work-list';
import { DEFAULT_PIECE_UNITS, SpanTree, type Widths } from '@spanmesh/spantree/tree';
import { Api } from './api/api.ts';
import { Commander } from './attach/commander.ts';
import { Deathwatch } from './attach/deathwatch.ts';
import { GatewayControl } from './attach/gateway-control.ts';
import { Graves } from './attach/graves.ts';
import { Isolation } from './attach/isolation.ts';
import { Leadership, type LeaseView } from './attach/leadership.ts';
import { LinkTraces } from './attach/link-traces.ts';
import { MemberEvents } from './attach/member-events.ts';
import { missingProcesses } from './attach/missing.ts';
import type { Presence } from './attach/presence.ts';
import { Reaper } from './attach/reaper.ts';
import { Refusals } from './attach/refusals.ts';
import { Roster } from './attach/roster.ts';
import { TakeOver } from './attach/take-over.ts';
import { unheardGateways } from './attach/unheard.ts';
import { Directory } from './directory/directory.ts';
import { Captures, type GatewayChannel } from './operate/captures.ts';
import { Drains } from './operate/drains.ts';
import { Replicas } from './replicas.ts';
import { type FollowCall, Follower, type FollowerDeps } from './replication/follower.ts';
import { Publisher } from './replication/publisher.ts';
import type { ProcessesKnown } from './show/show-status.ts';
import { StateEvents } from './state-events.ts';
import { Term } from './term.ts';
import { Traffic } from './traffic/traffic.ts';
import { History, type HistoryLimits } from './trees/history.ts';
import { State } from './trees/state.ts';
import type { View } from './trees/view.ts';

/** Default lifetime of a lease, ms. */
const DEFAULT_TTL_MS = 2000;

export interface CoreOptions {
  readonly widths: Widths;
  /** What relays add to rnss. */
  readonly rnssAdd: number;
  /** Version of the software. */
  readonly version: string;
  /** Where others reach this replica's service port, `host:port`. */
  readonly address: () => string;
  /** Name of the installation: gateways and standbys of another one are refused. */
  readonly installation: string;
  /** The settings that must be equal at all replicas, as text. */
  readonly settings?: string;
  /** Lifetime of a lease, ms. */
  readonly leaseTtlMs?: number;
  readonly history?: HistoryLimits;
  /** The version of replication that the replica claims to speak; other than ours only in tests. */
  readonly replicationVersion?: number | undefined;
  /** Units of work in a turn of the event loop; default: UNITS_PER_TURN. */
  readonly unitsPerTurn?: number | undefined;
}

/** How a standby follows the leader. */
export interface Following {
  readonly open: FollowerDeps['open'];
  readonly random: Random;
}

export interface CoreDeps {
  readonly lease: LeaseView;
  readonly presence: Presence;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where it reports events about members; default: nowhere. */
  readonly events?: EventTeller;
  /** Which protocol versions of gateways are accepted; default: those compatible with ours. */
  readonly protocol?: ProtocolRule;
  /** How gateways are called; default: in plaintext, at the address that they state. */
  readonly gatewayChannel?: GatewayChannel | undefined;
  /** Without it this replica follows no leader while it is a standby. */
  readonly following?: Following;
  /** Where traces are sent; default: nowhere. */
  readonly tracing?: Pick<Tracing, 'tracer'> | undefined;
  /** Calls in a later turn of the event loop; default: setImmediate. */
  readonly later?: ((turn: () => void) => void) | undefined;
}

/** Tables that may have entries after all gateways and peers have gone, and why. */
export const KEPT: Explained = {
  roster: 'a gateway that was heard of in a term is waited for',
  graves: 'an id that was declared dead must not come again',
  dead: 'dead gateways are shown',
  refusals: 'refused processes are shown',
  standbys: 'standbys follow whether there are gateways or not',
};

/**
 * One replica of topology without its surroundings: the streams of gateways and the calls of the API come in, and the
 * lease says what is allowed.
 */
export class Core {
  readonly state: State;
  readonly history: History;
  readonly leadership: Leadership;
  readonly commander: Commander;
  readonly control: GatewayControl;
  readonly api: Api;
  readonly directory: Directory;
  readonly drains: Drains;
  readonly captures: Captures;
  readonly traffic: Traffic;
  readonly publisher: Publisher;
  readonly follower: Follower;
  readonly roster: Roster;
  readonly graves: Graves = new Graves();
  readonly reaper: Reaper;
  readonly refusals: Refusals;
  /** The trace of a term's beginning. */
  readonly takeOver: TakeOver;
  /** Begins and ends this replica's terms; it must be called with changes of the lease and the registry. */
  readonly term: Term;
  /**
   * The queue of changes of the state. A large change takes several turns, and no other change or selection is made
   * meanwhile.
   */
  readonly work: WorkList;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #widths: Widths;
  readonly #replicas: Replicas;
  readonly #presence: Presence;
  readonly #told: StateEvents;

  constructor(
    options: CoreOptions,
    {
      lease,
      presence,
      clock,
      logger,
      following,
      gatewayChannel,
      events = NO_EVENTS,
      tracing,
      later,
      protocol = new ProtocolRule({}, { logger, clock }),
    }: CoreDeps,
  ) {
    const { widths, rnssAdd, version, address } = options;
    const { installation, settings = '', leaseTtlMs = DEFAULT_TTL_MS, replicationVersion } = options;
    const { unitsPerTurn = UNITS_PER_TURN } = options;
    this.#clock = clock;
    this.#presence = presence;
    const members = new MemberEvents({ events, presence });
    this.takeOver = new TakeOver({ tracing });
    const { takeOver } = this;
    const traces = new LinkTraces({ tracing });
    this.#widths = widths;
    this.#turn = new Turn(() => this.flush());
    const request = () => this.#turn.request();
    this.work = new WorkList(
      { perTurn: unitsPerTurn },
      { ...(later && { later }), onTurn: () => this.#sliced(), onIdle: request },
    );
    const { work } = this;
    const isWhole = () => !work.isBusy;
    this.history = new History(options.history, { ...following, isWhole });
    this.roster = new Roster({ clock });
    this.refusals = new Refusals({ clock });
    const { history, roster, graves, refusals } = this;
    const isDead = (id: string) => graves.has(id);
    const pieceUnits = Math.min(DEFAULT_PIECE_UNITS, unitsPerTurn);
    this.state = new State(new SpanTree({ widths, pieceUnits }), {
      tell: (event) => told.take(event),
      isDead,
    });
    const { state } = this;
    const { trees } = state;
    const { open = nobody, random = () => 0 } = following ?? {};
    this.follower = new Follower(
      {
        replica: () => lease.id,
        address,
        version,
        installation,
        settings,
        widths,
        history: options.history,
        replicationVersion,
        unitsPerTurn,
      },
      { open, random, clock, logger, later },
    );
    const { follower } = this;
    this.leadership = new Leadership({ lease, presence, clock, roster });
    const { leadership } = this;
    const deathwatch = new Deathwatch({
      clock,
      presence,
      leadingSince: () => leadership.leadingSince,
      hasTrunk: (id) => state.hasTrunk(id),
    });
    this.commander = new Commander({
      state,
      leadership,
      presence,
      roster,
      isDead,
      clock,
      request,
      record: (groups) => history.commit(groups),
      traces,
    });
    const { commander } = this;
    const gone = (id: string) => commander.gatewayGone(id);
    this.reaper = new Reaper({ roster, graves, deathwatch, state, presence, members, clock, logger, gone });
    const { reaper } = this;
    this.control = new GatewayControl(
      { version, rnssAdd, installation },
      {
        state,
        leadership,
        commander,
        roster,
        graves,
        deathwatch,
        reaper,
        refusals,
        members,
        presence,
        protocol,
        clock,
        logger,
        replicas: () => replicas.addresses(),
        request,
        traces,
        takeOver,
        work,
      },
    );
    const { control } = this;
    const isolation = new Isolation(
      { ttlMs: leaseTtlMs },
      { clock, presence, leadingSince: () => leadership.leadingSince, reachedAt: () => control.reachedAt },
    );
    this.directory = new Directory({ trees, leadership, clock, logger });
    this.drains = new Drains({ trees, commander });
    this.captures = new Captures(trees, gatewayChannel);
    this.traffic = new Traffic(gatewayChannel, { clock });
    const { drains, captures, traffic, directory } = this;
    const told = new StateEvents({ history, directory, commander, drains, roster, graves, clock, logger });
    this.#told = told;
    const view = () => this.view();
    this.publisher = new Publisher(
      { widths: this.#widths, installation, settings },
      { trees, history, leadership, refusals, work, clock, logger, request, replicas: () => replicas.leading() },
    );
    const replicas = new Replicas({ address, version }, { lease, view, presence, publisher: this.publisher, follower });
    this.#replicas = replicas;
    this.api = new Api(
      { address },
      {
        view,
        isWhole: () => !work.isBusy && !follower.isBusy,
        whenWhole: (fn) => work.whenIdle(() => follower.whenIdle(fn)),
        whyNot: () => leadership.notLeading() ?? '',
        trees,
        leadership,
        commander,
        drains,
        captures,
        traffic,
        processes: () => this.processes(),
        events,
        clock,
        logger,
      },
    );
    const { publisher, api } = this;
    this.term = new Term(
      { address, follows: following !== undefined },
      {
        state,
        history,
        leadership,
        presence,
        roster,
        reaper,
        members,
        isolation,
        takeOver,
        traces,
        commander,
        control,
        replicas,
        publisher,
        follower,
        drains,
        captures,
        directory,
        api,
        work,
        clock,
        logger,
        request,
      },
    );
  }

  /** Reports of gateways, mostly of peers' messages, that made no sense and were dropped. */
  get nonsense(): number {
    return this.#told.nonsense;
  }

  /** Sizes of all tables. `KEPT` names those that may have entries after all gateways have gone. */
  tables(): TableSizes {
    return {
      ...this.state.tables(),
      ...this.commander.tables(),
      greeting: this.control.greeting,
      roster: this.roster.size,
      graves: this.graves.size,
      dead: [...this.reaper.dead()].length,
      refusals: this.refusals.list().length,
      ...this.directory.tables(),
      watches: this.api.watches,
      standbys: this.publisher.standbys().length,
    };
  }

  /**
   * The trees that reads are answered from: the leader's own, even while its lease is not valid (the answer says so);
   * or those that a standby has replicated, also while it takes over, as its own are not complete yet. Null: there are
   * none.
   */
  view(): View | null {
    const { leadership, follower } = this;
    const { frozenMs } = leadership;
    if (leadership.settled) {
      const own = this.#own(frozenMs > 0 ? ReplicaRole.REPLICA_ROLE_FROZEN : ReplicaRole.REPLICA_ROLE_LEADER);
      return { ...own, lagMs: frozenMs };
    }
    const { view } = follower;
    const role = ReplicaRole.REPLICA_ROLE_TAKING_OVER;
    if (leadership.inTerm) return view === undefined ? this.#own(role) : { ...view, role };
    return view ?? null;
  }

  /** The replicas, the missing processes, and the refused ones. */
  processes(): ProcessesKnown {
    const { roster, reaper, leadership, refusals } = this;
    const heard = { presence: this.#presence, clock: this.#clock };
    return {
      ...this.#replicas.known(),
      missing: missingProcesses({ ...heard, roster, reaper, inTerm: leadership.inTerm }),
      refused: refusals.list(),
      unheardMs: unheardGateways(heard),
    };
  }

  /**
   * Selects and sends what this turn's changes require, once no job is under way. The core calls it at the end of a
   * turn.
   */
  flush(): void {
    if (!this.work.isBusy) this.work.run(this.#flushing());
  }

  #sliced(): void {
    this.commander.sliced();
    this.publisher.sliced();
  }

  *#flushing(): Job<void> {
    if (this.leadership.mayCommand()) yield* this.reaper.reaping();
    yield* this.commander.flushing();
    if (this.leadership.mayCommand()) this.takeOver.ends();
    this.history.commit();
    this.publisher.flush();
    this.directory.flush();
    this.control.tellTaken();
    // Now the leader's own trees are complete: those replicated from the previous leader are not needed any more.
    if (this.leadership.settled) this.follower.forget();
  }

  #own(role: ReplicaRole): View {
    return { trees: this.state.trees, history: this.history, widths: this.#widths, role, lagMs: 0 };
  }
}

/** The stream of a replica that follows no leader: opening it is an error. */
function nobody(): FollowCall {
  throw new Error('this replica does not follow');
}
