import { ReplicaRole } from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';
import type { LeaseState } from '@spanmesh/runtime/lease';
import { type Logger, Throttle } from '@spanmesh/runtime/logger';
import { ProtocolRule } from '@spanmesh/runtime/protocol-version';
import type { Random } from '@spanmesh/runtime/random';
import { Turn } from '@spanmesh/runtime/turn';
import { SpanTree } from '@spanmesh/spantree/tree';
import { Api } from './api.ts';
import { Commander } from './commander.ts';
import { Directory } from './directory/directory.ts';
import { lnkConnData } from './gateway.ts';
import { GatewayControl } from './gateway-control.ts';
import { History, type HistoryLimits } from './history.ts';
import { Leadership, type LeaseView, type Presence } from './leadership.ts';
import { Drains } from './operate/drains.ts';
import { Replicas } from './replicas.ts';
import { type FollowCall, Follower, type FollowerDeps } from './replication/follower.ts';
import { Publisher } from './replication/publisher.ts';
import { State, type StateObserver } from './state.ts';
import type { View, Widths } from './view.ts';

/** The same trouble is logged once in this time. */
const LOG_INTERVAL_MS = 10_000;
/** How often it is looked whether a gateway without a stream is dead. */
const BURIAL_MS = 1000;

export interface CoreOptions {
  readonly linkidWidth: number;
  readonly circuitWidth: number;
  /** What relays add to rnss. */
  readonly rnssAdd: number;
  /** Of the software. */
  readonly version: string;
  /** Where others reach this replica's service port, `host:port`. */
  readonly address: () => string;
  readonly history?: HistoryLimits;
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
  /** Which versions of gateways are understood; default: those that fit to ours. */
  readonly protocol?: ProtocolRule;
  /** Without it this replica follows nobody while it stands by. */
  readonly following?: Following;
}

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
  readonly publisher: Publisher;
  readonly follower: Follower;
  /** Peers' messages that made no sense. */
  nonsense = 0;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #widths: Widths;
  readonly #follows: boolean;
  #epoch = 0;
  #burialDue = false;

  constructor(
    options: CoreOptions,
    { lease, presence, clock, logger, following, protocol = new ProtocolRule({}, { logger, clock }) }: CoreDeps,
  ) {
    const { linkidWidth, circuitWidth, rnssAdd, version, address } = options;
    this.#clock = clock;
    this.#widths = { linkid: linkidWidth, circuit: circuitWidth };
    this.#follows = following !== undefined;
    this.#turn = new Turn(() => this.flush());
    const request = () => this.#turn.request();
    this.history = new History(options.history);
    const observer = this.#observer(logger, clock);
    this.state = new State(new SpanTree({ linkidWidth, circuitWidth }), { observer });
    const { state, history } = this;
    const { open = nobody, random = () => 0 } = following ?? {};
    this.follower = new Follower(
      { replica: () => lease.id, address, version, history: options.history },
      { open, random, clock, logger },
    );
    const { follower } = this;
    // architecture.md, "Attach": a new leader waits for the gateways in its replica.
    const expected = () => follower.view?.trees.gateways.values() ?? [];
    this.leadership = new Leadership({ lease, presence, clock, state, expected });
    const { leadership } = this;
    this.commander = new Commander({
      state,
      leadership,
      presence,
      clock,
      request,
      record: (groups) => history.commit(groups),
    });
    const { commander } = this;
    this.control = new GatewayControl(
      { version, rnssAdd },
      { state, leadership, commander, protocol, logger, request },
    );
    this.directory = new Directory({ state, leadership, logger });
    this.drains = new Drains({ state, commander });
    const { drains } = this;
    const view = () => this.view();
    this.publisher = new Publisher(
      { widths: this.#widths },
      { trees: state, history, leadership, clock, logger, request, replicas: () => replicas.leading() },
    );
    const replicas = new Replicas({ address, version }, { lease, view, publisher: this.publisher, follower });
    this.api = new Api(
      { address },
      {
        view,
        whyNot: () => leadership.notLeading() ?? '',
        state,
        leadership,
        commander,
        drains,
        replicas: () => replicas.known(),
        clock,
        logger,
      },
    );
  }

  /**
   * What reads are answered from: the leader's own trees, or those that a standby has heard of; while it takes over, too, because
   * its own are not complete yet. Null: there is nothing to answer from.
   */
  view(): View | null {
    const { leadership, follower } = this;
    if (leadership.settled) return this.#own(ReplicaRole.REPLICA_ROLE_LEADER);
    const { view } = follower;
    const role = ReplicaRole.REPLICA_ROLE_TAKING_OVER;
    if (leadership.inTerm) return view === undefined ? this.#own(role) : { ...view, role };
    return view ?? null;
  }

  /** Decides and sends what this turn has brought. Called by itself at the end of a turn. */
  flush(): void {
    if (this.leadership.mayCommand()) this.control.bury();
    this.commander.flush();
    this.history.commit();
    this.publisher.flush();
    this.directory.flush();
    // From here on the trees are complete: what the leader before said is of no more use.
    if (this.follower.view !== undefined && this.leadership.settled) this.follower.forget();
    if (this.control.mourning && !this.#burialDue) {
      this.#burialDue = true;
      this.#clock.after(BURIAL_MS, () => {
        this.#burialDue = false;
        this.#turn.request();
      });
    }
  }

  /** To be told of every change of the lease. */
  leaseChanged(lease: LeaseState): void {
    const led = this.leadership.inTerm;
    this.leadership.changed(lease);
    this.#follow(lease);
    if (lease.kind === 'leading') {
      if (!led) this.history.restart(lease.epoch);
      if (lease.epoch !== this.#epoch) {
        this.#epoch = lease.epoch;
        this.history.epoch = lease.epoch;
        this.control.epochChanged();
      }
      this.#turn.request();
    } else if (led && !this.leadership.inTerm) {
      this.abdicate('This topology replica does not lead any more: find the one that does.');
    }
  }

  /** Lets go of everything: another replica leads, or this one stops. The gateways keep their relays as they are. */
  abdicate(details: string): void {
    // First of all: standbys keep what they have, and are not to hear of what is let go of.
    this.publisher.endAll(details);
    this.drains.endAll(details);
    this.control.endAll(details);
    for (const gateway of [...this.state.gateways.values()]) this.state.remove(gateway);
    this.state.tree.forgetGone();
    this.history.restart(this.#epoch);
    this.api.endWatches();
    this.directory.endAll(details);
  }

  /** To be told when gateways appear in the registry, change or go. */
  presenceChanged(): void {
    this.commander.membersChanged();
  }

  #follow(lease: LeaseState): void {
    if (!this.#follows) return;
    if (lease.kind !== 'standby') this.follower.stop();
    else this.follower.leaderIs(lease.holder === null || lease.holder.address === '' ? null : lease.holder.address);
  }

  #own(role: ReplicaRole): View {
    return { trees: this.state, history: this.history, widths: this.#widths, role, lagMs: 0 };
  }

  #observer(logger: Logger, clock: Clock): StateObserver {
    const { history } = this;
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    return {
      clusterChanged: (kind, object) => history.record({ of: 'cluster', kind, object }),
      nodeChanged: (kind, object) => {
        history.record({ of: 'node', kind, object });
        if (kind === 'added') this.directory.nodeAdded(object.cluster);
      },
      linkChanged: (kind, object) => {
        history.record({ of: 'link', kind, object });
        if (kind === 'removed') this.commander.linkGone(object);
        else if (kind === 'added') this.directory.linkAdded(object);
      },
      connectionChanged: (kind, object) => history.record({ of: 'connection', kind, object }),
      lnkConnChanged: (kind, object) => history.record({ of: 'lnkConn', kind, object }),
      reachable: (gateway) => this.directory.reachable(gateway.id),
      relayRefused: (link, lnkConn) => {
        const { gateway } = lnkConnData(lnkConn);
        history.record({ of: 'relays', group: { link, gateway, open: [], close: [lnkConn.id] } });
      },
      probe: (connection) => this.commander.probe(connection),
      reopen: (gateway, link, lnkConns) => this.commander.reopen(gateway, link, lnkConns),
      linkKnown: (gateway, link) => this.commander.linkKnown(gateway, link),
      linkUnknown: (gateway, linkGateway, link) => this.commander.linkUnknown(gateway, linkGateway, link),
      drained: (gateway) => this.drains.progressed(gateway),
      gatewayGone: (gateway) => this.drains.gatewayGone(gateway),
      nonsense: (gateway, what, data) => {
        this.nonsense++;
        const { log, suppressed } = throttle.admit(`${gateway.id} ${what}`);
        if (log)
          logger.warn({ gateway: gateway.id, ...data, suppressed }, `${what} from a gateway makes no sense: dropped`);
      },
    };
  }
}

function nobody(): FollowCall {
  throw new Error('this replica does not follow');
}
