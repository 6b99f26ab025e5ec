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

/** How long a lease is good for, unless an option says so, ms. */
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
  /** What must be equal at all replicas, as text. */
  readonly settings?: string;
  /** How long a lease is good for. */
  readonly leaseTtlMs?: number;
  readonly history?: HistoryLimits;
  /** The version of replication that it says it speaks; another than ours in tests only. */
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
  /** Where it tells who comes and goes; default: nowhere. */
  readonly events?: EventTeller;
  /** Which versions of gateways are understood; default: the ones that fit to ours. */
  readonly protocol?: ProtocolRule;
  /** How gateways are called; default: in plaintext, where they say. */
  readonly gatewayChannel?: GatewayChannel | undefined;
  /** Without it this replica follows nobody while it stands by. */
  readonly following?: Following;
  /** Who wants traces; default: nobody. */
  readonly tracing?: Pick<Tracing, 'tracer'> | undefined;
  /** Calls in a later turn of the event loop; default: setImmediate. */
  readonly later?: ((turn: () => void) => void) | undefined;
}

/** Tables that have entries when all that filled them is gone. */
export const KEPT: Explained = {
  roster: 'who has been heard of in a term is waited for',
  graves: 'an id that was declared dead must not come again',
  dead: 'dead gateways are shown',
  refusals: 'those that were refused are shown',
  standbys: 'standbys follow whether there are gateways or not',
};

/** One replica of topology without its surroundings: gateways' streams and the API come in, the lease says what is allowed. */
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
  /** Traces how the term begins. */
  readonly takeOver: TakeOver;
  /** To be told of the lease and of the registry, and to be ended with the process. */
  readonly term: Term;
  /** Changes of the state, one after the other: a large one takes several turns, and nothing else is changed or decided meanwhile. */
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
    this.history = new History(options.history, { ...(following && { random: following.random }), isWhole });
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

  /** Peers' messages that made no sense. */
  get nonsense(): number {
    return this.#told.nonsense;
  }

  /** Entries of every table here. What may be left when all gateways have gone: `KEPT`. */
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
   * What reads are answered from: the leader's own trees, also while its lease is not valid (it says so), or the trees that a standby has
   * heard of; while it takes over, too, because its own are not complete yet. Null: there is nothing to answer from.
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

  /** The replicas, the processes that are missing, and the processes that were refused. */
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

  /** Decides and sends what this turn has brought, once the work that is under way is over. Called by itself at the end of a turn. */
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
    // From here on the trees are complete: what the leader before said is of no more use.
    if (this.follower.view !== undefined && this.leadership.settled) this.follower.forget();
  }

  #own(role: ReplicaRole): View {
    return { trees: this.state.trees, history: this.history, widths: this.#widths, role, lagMs: 0 };
  }
}

function nobody(): FollowCall {
  throw new Error('this replica does not follow');
}
