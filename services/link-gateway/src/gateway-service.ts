import { randomBytes } from 'node:crypto';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { StateChangeParts } from '@spanmesh/proto/state-change';
import type { Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import type { Clock } from '@spanmesh/runtime/clock';
import { EventLog } from '@spanmesh/runtime/events/event-log';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Service } from '@spanmesh/runtime/process/service';
import type { Random } from '@spanmesh/runtime/random';
import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import { ShareLog } from '@spanmesh/runtime/shares/share-log';
import type { Explained, TableSizes } from '@spanmesh/runtime/table-sizes';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import { VERSION } from '@spanmesh/runtime/version';
import type { Attach, AttachRefusal } from './attach/attach.ts';
import type { AttachHost, GatewayIdentity } from './attach/attach-host.ts';
import { CommandRunner } from './attach/commands.ts';
import { Registration } from './attach/registration.ts';
import { Reports } from './attach/reports.ts';
import { cutSnapshot } from './attach/snapshot.ts';
import { Captures } from './capture/captures.ts';
import type { CloseReason } from './connection/close-reason.ts';
import { KernelQueues } from './connection/kernel-queues.ts';
import type { Origin } from './connection/origin.ts';
import { ReadTurns } from './connection/read-turns.ts';
import { TurnFlush } from './connection/turn-flush.ts';
import { answered } from './dial/answered.ts';
import { type Asker, OPERATOR } from './dial/asker.ts';
import { DialPolicy } from './dial/dial-policy.ts';
import { DialServer } from './dial/dial-server.ts';
import { Dialler, type Resolve } from './dial/dialler.ts';
import { MediaEvents } from './dial/media-events.ts';
import { namesOfTargets } from './dial/names/names-of-targets.ts';
import { Orders } from './dial/orders.ts';
import { Drains } from './drain/drains.ts';
import { Entrance } from './entrance/entrance.ts';
import { Listeners, type ListenPort } from './entrance/listeners.ts';
import { RefusalLog } from './entrance/refusal-log.ts';
import { registerEntranceMetrics } from './entrance/register-entrance-metrics.ts';
import type { EntryDependencies } from './entrance/upgrade.ts';
import { LinkGatewayError } from './gateway-error.ts';
import { bootId, gatewayUuid } from './gateway-ids.ts';
import { LOG_INTERVAL_MS, PART_BYTES } from './limits.ts';
import { DirectoryCalls } from './messaging/directory-calls.ts';
import { Messaging } from './messaging/messaging.ts';
import { GatewayMetrics } from './metrics.ts';
import { Dispatcher } from './peers/dispatcher.ts';
import { Links } from './peers/links.ts';
import { LnkConns } from './peers/lnk-conns.ts';
import { OpenTables } from './peers/open-tables.ts';
import { MARK_BYTES, OwnLnkConn } from './peers/own-lnk-conn.ts';
import type { Peer } from './peers/peer.ts';
import { PeerEvents } from './peers/peer-events.ts';
import { Peers } from './peers/peers.ts';
import { Prober } from './peers/prober.ts';
import { Relays } from './peers/relays.ts';
import { RemoteOfferers } from './peers/remote-offerers.ts';
import { registerMetrics } from './register-metrics.ts';
import { registerOpenMetrics } from './register-open-metrics.ts';
import type { LocalClients } from './routing/local-clients.ts';
import { Router } from './routing/router.ts';
import { NO_TRUNKS, type RouteTerminal } from './routing/trunks.ts';
import type { GatewayOptions } from './settings.ts';
import { Endings, type EndingsOptions } from './shares/endings.ts';
import { GatewayShares } from './shares/gateway-shares.ts';
import { relayMsgid } from './shell/relay-msgid.ts';
import { Shell, type TreeSource } from './shell/shell.ts';
import { GatewayTraffic } from './traffic/gateway-traffic.ts';
import type { GatewayTrunks, TrunkHost } from './trunk/gateway-trunks.ts';
import { registerTrunkMetrics } from './trunk/trunk-metrics.ts';

export type { ListenPort } from './entrance/listeners.ts';

export interface GatewayDependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly random: Random;
  /** Takes the gateway's events; default: one that only logs them. */
  readonly events?: EventTeller;
  readonly treeSource: TreeSource;
  /** Returns `host:port` of the service port; called once the process listens. Empty: the port cannot be reached. */
  readonly serviceAddress: () => string;
  /** Looks up the host names of dial targets; default: as this host does. */
  readonly resolve?: Resolve;
  /** Ports on which this process listens for anything but peers and trunks; default: none. */
  readonly otherPorts?: () => Iterable<number>;
  /** Makes the trunks to other gateways. `id` returns this gateway's id, which may change. Default: no trunks. */
  readonly makeTrunks?: (id: () => string, host: TrunkHost) => GatewayTrunks;
  /**
   * Makes the directory that finds nodes for clients. `gateway` returns this gateway's id, which may change. Default:
   * finds nothing.
   */
  readonly makeDirectory?: (gateway: () => string) => DirectoryCalls;
  readonly makeAttach: (host: AttachHost, reports: Reports) => Attach;
  /** How much ends at once of what ends because something else has; default: as `Endings` says. */
  readonly endings?: EndingsOptions;
  /** Traces of the effects of links and commands; default: none. */
  readonly tracing?: Pick<Tracing, 'tracer'>;
}

/** Tables that may have entries after all peers have gone, and why. */
export const KEPT: Explained = {
  remoteLinks: 'topology says when the links of other gateways are gone',
  remoteOfferers: 'topology says when their links are gone',
  dialOwners: 'an older order for an owner is recognised as older as long as volconf has the same leader',
  drains: 'the results of the last drains are kept, to be asked for',
  'trunks, trunks': 'topology says when another gateway is gone',
  'trunks, established': 'a trunk lasts as long as both gateways run',
  'trunks, dead': 'an id that was declared dead must not come again',
};

/** Numbers of open things on a gateway. */
export type GatewayCounts = Record<'relays' | 'onDemandRelays', number> &
  ReturnType<OpenTables['counts']> &
  ReturnType<Router['counts']> &
  ReturnType<Messaging['counts']>;

/**
 * The link-gateway: terminates DMSG connections, tells topology what is open on them, and obeys topology's commands.
 */
export class Gateway implements Service, AttachHost {
  readonly identity: GatewayIdentity;
  readonly counters = new GatewayMetrics();
  /** The gRPC service GatewayTraffic (traffic.proto), for the service port. */
  readonly traffic: GatewayTraffic;

  readonly #options: GatewayOptions;
  readonly #deps: GatewayDependencies;
  readonly #tables = new OpenTables();
  readonly #relays: Relays;
  readonly #entrance: Entrance;
  readonly #entry: EntryDependencies;
  readonly #router: Router;
  readonly #trunks: GatewayTrunks | null;
  readonly #shares: GatewayShares;
  readonly #endings: Endings;
  readonly #offerers: RemoteOfferers;
  readonly #reports = new Reports();
  readonly #attach: Attach;
  readonly #directory: DirectoryCalls;
  readonly #commands: CommandRunner;
  readonly #prober: Prober;
  readonly #dialler: Dialler;
  readonly #orders: Orders;
  readonly #dialServer: DialServer;
  readonly #messaging: Messaging;
  readonly #drains: Drains;
  readonly #captures: Captures;
  readonly #registration: Registration;
  readonly #listeners: Listeners;
  #boot: string;
  #stopping = false;

  constructor(options: GatewayOptions, deps: GatewayDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#boot = bootId(deps.random());
    const boot = () => this.#boot;
    const id = () => this.id;
    this.identity = {
      name: options.name,
      get boot() {
        return boot();
      },
      firstBoot: this.#boot,
      version: VERSION,
      get serviceAddress() {
        return deps.serviceAddress();
      },
    };
    this.#attach = deps.makeAttach(this, this.#reports);
    const { clock, logger, tracing = NO_TRACING } = deps;
    const events = deps.events ?? new EventLog({ reporter: id }, deps);
    const peerEvents = new PeerEvents({ gateway: id }, { events });
    const metrics = this.counters;
    const tables = this.#tables;
    const reports = this.#reports;
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const shareLog = new ShareLog({ clock, logger, throttle, events });
    const limited = (limit: PoolLimit) => shareLog.limited(limit);
    const endings = new Endings(deps.endings ?? {}, { failed: (err) => this.#failed(err) });
    this.#endings = endings;
    const shares = new GatewayShares(options, { limited, endings });
    this.#shares = shares;
    const shared = { options, clock, logger, throttle, metrics, tables, reports, shares, endings };
    const flow = new Flow();
    const media = new MediaEvents();
    const ownLnkConn = new OwnLnkConn(randomBytes(MARK_BYTES));
    this.#trunks = deps.makeTrunks?.(id, this.#trunkHost(flow)) ?? null;
    const trunks = this.#trunks ?? NO_TRUNKS;
    this.#relays = new Relays(shared);
    const relays = this.#relays;
    const links = new Links({ ...shared, relays, tracing });
    this.#router = new Router(
      {
        onDemandIdle: options.onDemandIdle,
        consolidateReads: options.consolidateReads,
        name: options.name,
        node: gatewayUuid(this.id),
      },
      {
        clock,
        metrics,
        tables,
        relays,
        links,
        flow,
        trunks,
        inSlices: (principal, job) => endings.run(principal, job),
      },
    );
    const lnkConns = new LnkConns({ ...shared, relays, media, ownLnkConn, events: peerEvents });
    const dispatcher = new Dispatcher({
      ...shared,
      lnkConns,
      links,
      shell: new Shell({
        clock,
        metrics,
        treeSource: deps.treeSource,
        // protocol.md, introduction: the shell's `span` uses the dialect of the shell's link.
        dial: (target, { dialect, principal }) =>
          this.#dialAnswered(target, dialect ?? 'auto', { kind: 'peer', principal }),
        relayMsgid: (linkId, lnkConnId) => relayMsgid(tables, this.id, { linkId, lnkConnId }),
      }),
      routing: this.#router.addressed,
    });
    const peers = new Peers({
      connections: {
        ...shared,
        flow,
        turnFlush: new TurnFlush(),
        reports: reports.pressure,
        reads: new ReadTurns(),
        kernelQueues: new KernelQueues({ clock }),
      },
      tables,
      reports,
      events: peerEvents,
      relays,
      ownLnkConn,
      dispatcher,
      logger,
      gone: (peer, reason) => this.#gone(peer, reason),
    });
    this.#entrance = new Entrance(options, { clock, logger, events, shares, limited });
    const refusals = new RefusalLog({ intervalMs: LOG_INTERVAL_MS }, { clock });
    this.#entry = { entrance: this.#entrance, peers, metrics, clock, logger, throttle, refusals, shares };
    this.#listeners = new Listeners(options, { entry: this.#entry, logger });
    this.#prober = new Prober(shared);
    this.#dialler = new Dialler({
      ...this.#entry,
      options,
      clock,
      shares,
      resolve: deps.resolve ?? namesOfTargets(deps),
      policy: new DialPolicy({ allow: options.dialAllow }, { ownPorts: () => this.#ownPorts() }),
    });
    this.#orders = new Orders({ dialler: this.#dialler, events: media, clock });
    this.#dialServer = new DialServer(
      { gateway: id, firstBoot: this.identity.firstBoot, connectTimeout: options.connectTimeout },
      { orders: this.#orders, events: media, tables, clock, logger },
    );
    this.#directory =
      deps.makeDirectory?.(id) ?? new DirectoryCalls({ gateway: id, address: () => null }, { clock, logger });
    const { clients } = this.#router;
    this.#messaging = new Messaging(
      { gateway: id },
      { directory: this.#directory, clients, reports, metrics: deps.metrics, clock, logger, events },
    );
    this.#drains = new Drains(
      { deadlineMs: options.stopTimeout },
      { ...shared, relays, lnkConns, clients, random: deps.random, events, gateway: id },
    );
    this.#captures = new Captures(tables.connections, { clock, logger });
    this.traffic = new GatewayTraffic({
      gateway: id,
      connections: tables.connections,
      trunks: () => this.#trunks?.traffic() ?? [],
      classes: this.#router.classes,
      clock,
    });
    const withholds = (limit: PoolLimit) => shareLog.withholds(limit);
    const offerers = new RemoteOfferers({ shares, relays, endings, reports, withholds });
    this.#offerers = offerers;
    tables.onForgotten = (source) => offerers.forget(source);
    const ordered = { prober: this.#prober, drains: this.#drains, offerers };
    this.#commands = new CommandRunner({ metrics, tables, relays, shares, tracing, ...ordered });
    this.#registration = new Registration(this.identity, { bus: deps.bus, clock, logger, throttle });
    registerMetrics(deps.metrics, { metrics, tables, entrance: this.#entrance, shares });
    registerOpenMetrics(deps.metrics, this);
    registerEntranceMetrics(deps.metrics, this.#entrance);
    if (this.#trunks !== null) registerTrunkMetrics(deps.metrics, this.#trunks.metrics);
  }

  /** `<name>.<boot>`, the prefix of all ids of this gateway. It changes when a leader has declared the gateway dead. */
  get id(): string {
    return `${this.identity.name}.${this.identity.boot}`;
  }

  /** The gRPC service Dial (dial.proto), for the service port. */
  get dialImplementation(): DialServer['implementation'] {
    return this.#dialServer.implementation;
  }

  /** The gRPC service Capture (capture.proto), for the service port. */
  get captureImplementation(): Captures['implementation'] {
    return this.#captures.implementation;
  }

  /** The gRPC service Messaging (messaging.proto), for users of the API. */
  get messagingImplementation(): Messaging['implementation'] {
    return this.#messaging.implementation;
  }

  /** The ports that peers connect to, in the order of the setting; after `start`. */
  get ports(): readonly ListenPort[] {
    return this.#listeners.ports;
  }

  /**
   * Why the gateway is not ready; null: it is ready (architecture.md, "Fail static": once attached, it stays ready).
   */
  notReady(): string | null {
    if (this.#stopping) return 'stopping';
    if (this.#attach.attachedOnce) return null;
    return this.refused?.why ?? 'no topology leader has taken this gateway on yet';
  }

  /** Why topology has refused this gateway, by its last answer; null: topology has accepted it or has not answered. */
  get refused(): AttachRefusal | null {
    return this.#attach.refused;
  }

  /** Numbers of things that are open at this moment. */
  counts(): GatewayCounts {
    return {
      ...this.#tables.counts(),
      relays: this.counters.relays,
      onDemandRelays: this.counters.onDemandRelays,
      ...this.#router.counts(),
      ...this.#messaging.counts(),
    };
  }

  /** Sizes of all tables of this gateway. `KEPT` names those that may have entries after all peers have gone. */
  tables(): TableSizes {
    const shares = Object.entries(this.#shares.tables()).map(([name, size]) => [`shares, ${name}`, size] as const);
    const trunks = Object.entries(this.#trunks?.tables() ?? {}).map(
      ([name, size]) => [`trunks, ${name}`, size] as const,
    );
    return {
      ...this.counts(),
      ...this.#router.tables(),
      ...Object.fromEntries(shares),
      ...Object.fromEntries(trunks),
      handshakes: this.#entrance.handshaker.total,
      dialOwners: this.#orders.size,
      dialledSockets: this.#orders.sockets,
      mediaWatches: this.#dialServer.watches,
      captures: this.#captures.running,
      drains: this.#drains.known,
      endings: this.#endings.size,
      remoteOfferers: this.#offerers.size,
      connectionsThatTopologyHoldsUp: this.#reports.pressure.waiting,
      queuedBytes: this.queuedBytes,
    };
  }

  /** Opens routes for clients in this process. */
  get clients(): LocalClients {
    return this.#router.clients;
  }

  /** Takes the routes that other gateways open here. */
  get terminal(): RouteTerminal {
    return this.#router.terminal;
  }

  /** The trunks to other gateways; null: the gateway was made without trunks. */
  get trunks(): GatewayTrunks | null {
    return this.#trunks;
  }

  /** Bytes queued for peers, on all connections together. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const { connection } of this.#tables.connections.values()) bytes += connection.queuedBytes;
    return bytes;
  }

  /** Number of files in the keys directory that cannot be used. */
  get keysProblems(): number {
    return this.#entrance.keys?.problems ?? 0;
  }

  /**
   * Listens, then reports to topology.
   * @throws SettingError: the keys directory cannot be read, an address cannot be listened on.
   */
  async start(): Promise<void> {
    await this.#entrance.start();
    try {
      await this.#listeners.start();
      await this.#trunks?.start(this.#router.terminal);
    } catch (error) {
      this.#listeners.stop();
      throw error;
    }
    this.#prober.start();
    this.#attach.start();
    await this.#registration.start();
    this.#deps.logger.info({ gateway: this.id, ports: this.ports }, 'link-gateway is listening');
  }

  /**
   * Takes no more connections and no more orders, and closes the existing connections in order (drain/drains.ts) within
   * the time of the setting. Then leaves topology.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#listeners.stop();
    this.#entrance.stop();
    this.#prober.stop();
    this.#messaging.takeNoMore();
    this.#orders.stop();
    this.#registration.leaving();
    await this.#drains.stop();
    await new Promise<void>((resolve) => this.#endings.whenIdle(resolve));
    this.#messaging.stop();
    this.#dialServer.stop();
    this.#captures.stop();
    await this.#trunks?.stop();
    await this.#attach.stop();
    await this.#registration.stop();
  }

  /** While the gateway stops: ends the drain without further grace. */
  hurry(): void {
    this.#drains.hurry();
  }

  /** Connects to a peer. @throws LinkGatewayError dial */
  dial(target: PeerTarget, dialect: Dialect | 'auto', origin: Origin, asker: Asker = OPERATOR): Promise<Peer> {
    return this.#dialler.dial(target, dialect, origin, { asker });
  }

  welcomed(epoch: number, rnssAdd: number): void {
    this.#relays.rnssAdd = rnssAdd;
    this.#trunks?.welcomed(epoch);
    // Another boot of this name may have overwritten the registry entry while both asked to be accepted.
    this.#registration.renew();
  }

  /** Ids of the gateways that topology has named, that have a trunk, or whose links are known here. */
  get gatewaysKnown(): ReadonlySet<string> {
    return new Set([...(this.#trunks?.known ?? []), ...this.#tables.remoteLinks.keys()]);
  }

  get lastNumber(): number {
    return this.#tables.lastNumber;
  }

  snapshot(): Job<StateChange[]> {
    const parts = new StateChangeParts(PART_BYTES);
    this.#messaging.held.cut(parts);
    parts.trunks(this.#trunks?.state() ?? { established: [], unreachable: [] });
    const principals = this.#offerers.withheld();
    if (principals.length > 0) parts.withheld({ principals });
    this.#drains.cut(parts);
    return finishing(cutSnapshot(this.#tables, parts), parts);
  }

  *applying(commands: Commands): Job<void> {
    if (commands.gatewaysGone.length > 0) yield* this.#gatewaysGone(commands.gatewaysGone);
    if (commands.gateways.length > 0) this.#trunks?.listed(commands.gateways);
    yield* this.#commands.running(commands);
  }

  /**
   * Connects for a shell. A target that does not answer our LNK_CONN is no peer, and the shell is not told what else it
   * may be.
   * @throws LinkGatewayError dial
   */
  async #dialAnswered(target: PeerTarget, dialect: Dialect | 'auto', asker: Asker): Promise<void> {
    const peer = await this.dial(target, dialect, { kind: 'shell' }, asker);
    const { clock } = this.#deps;
    if (await answered(peer, { ms: this.#options.connectTimeout, clock })) return;
    peer.connection.close('unanswered');
    throw new LinkGatewayError('dial', { why: 'unreachable' });
  }

  *#ownPorts(): Iterable<number> {
    for (const { port } of this.ports) yield port;
    if (this.#trunks !== null) yield this.#trunks.port;
    yield* this.#deps.otherPorts?.() ?? [];
  }

  /**
   * Takes another boot id, because the present one was declared dead and must never live again. Connections,
   * transactions and numbers stay, and the peers notice nothing; trunks and routes that other gateways had open with
   * the former id end.
   */
  declaredDead(): void {
    if (this.#stopping) return;
    const before = this.id;
    this.#boot = bootId(this.#deps.random());
    const { logger } = this.#deps;
    logger.warn(
      { before, gateway: this.id },
      'topology had declared this gateway dead: it goes on under another boot id',
    );
    this.#trunks?.renamed();
    this.#directory.askAgain();
    this.#registration.renew();
  }

  *#gatewaysGone(gateways: readonly string[]): Job<void> {
    const others = gateways.filter((gateway) => gateway !== this.id);
    this.#trunks?.gone(others);
    for (const gateway of others) yield* this.#commands.forgettingGateway(gateway);
  }

  #trunkHost(flow: Flow): TrunkHost {
    const tables = this.#tables;
    return {
      flow,
      inSlices: (gateway, job) => this.#endings.run(gateway, job),
      limited: (limit) => this.#shares.limited(limit),
      sendLimit: this.#options.sendLimit,
      destinations: {
        connectionOfLink: (link) => tables.links.get(link)?.peer.id ?? 0,
        pressureOfConnection: (id) => tables.connections.get(id)?.connection ?? null,
      },
      changed: () => this.#reports.trunks(() => this.#trunks!.state()),
      declaredDead: () => {
        // The other gateway is out of date if a leader has accepted this one.
        if (!this.#attach.attached) this.declaredDead();
      },
    };
  }

  /** A job of `Endings` has thrown: not all that should be told of an ending was told. */
  #failed(err: unknown): void {
    this.counters.internalErrors++;
    this.#deps.logger.error({ err }, 'not everybody was told what has ended');
  }

  #gone(peer: Peer, reason: CloseReason): void {
    this.#entrance.admission.release(peer.connection.address);
    this.#orders.gone(peer, reason);
    this.#drains.gone(peer);
    this.#captures.gone(peer.connection, reason);
  }
}

function* finishing(cutting: Job<void>, { all }: StateChangeParts): Job<StateChange[]> {
  yield* cutting;
  return all;
}
