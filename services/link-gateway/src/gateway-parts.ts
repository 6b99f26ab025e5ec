import { randomBytes } from 'node:crypto';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import type { Clock } from '@spanmesh/runtime/clock';
import { EventLog } from '@spanmesh/runtime/events/event-log';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Random } from '@spanmesh/runtime/random';
import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import { ShareLog } from '@spanmesh/runtime/shares/share-log';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import type { Attach } from './attach/attach.ts';
import type { AttachHost, GatewayIdentity } from './attach/attach-host.ts';
import { CommandRunner } from './attach/commands.ts';
import { Registration } from './attach/registration.ts';
import type { Reports } from './attach/reports.ts';
import { Captures } from './capture/captures.ts';
import type { CloseReason } from './connection/close-reason.ts';
import { KernelQueues } from './connection/kernel-queues.ts';
import { ReadTurns } from './connection/read-turns.ts';
import { TurnFlush } from './connection/turn-flush.ts';
import { answered } from './dial/answered.ts';
import type { Asker } from './dial/asker.ts';
import { DialPolicy } from './dial/dial-policy.ts';
import { DialServer } from './dial/dial-server.ts';
import { Dialler, type Resolve } from './dial/dialler.ts';
import { MediaEvents } from './dial/media-events.ts';
import { namesOfTargets } from './dial/names/names-of-targets.ts';
import { Orders } from './dial/orders.ts';
import { Drains } from './drain/drains.ts';
import { Entrance } from './entrance/entrance.ts';
import { Listeners } from './entrance/listeners.ts';
import { RefusalLog } from './entrance/refusal-log.ts';
import type { EntryDependencies } from './entrance/upgrade.ts';
import { LinkGatewayError } from './gateway-error.ts';
import { gatewayUuid } from './gateway-ids.ts';
import { LOG_INTERVAL_MS } from './limits.ts';
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
import { Router } from './routing/router.ts';
import { NO_TRUNKS } from './routing/trunks.ts';
import type { GatewayOptions } from './settings.ts';
import { Endings, type EndingsOptions } from './shares/endings.ts';
import { GatewayShares } from './shares/gateway-shares.ts';
import { relayMsgid } from './shell/relay-msgid.ts';
import { Shell, type TreeSource } from './shell/shell.ts';
import { GatewayTraffic } from './traffic/gateway-traffic.ts';
import type { GatewayTrunks, TrunkHost } from './trunk/gateway-trunks.ts';

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
  /** How much work of endings (shares/endings.ts) is done in one turn of the event loop; default: that of `Endings`. */
  readonly endings?: EndingsOptions;
  /** Traces of the effects of links and commands; default: none. */
  readonly tracing?: Pick<Tracing, 'tracer'>;
}

/** What the parts ask of their gateway. */
export interface PartsHost {
  readonly identity: GatewayIdentity;
  readonly reports: Reports;
  /** The gateway's id, which may change. */
  readonly id: () => string;
  /** A leader has accepted the gateway, and its stream is open. */
  readonly isAttached: () => boolean;
  /** Another gateway says that this one's id was declared dead. */
  readonly declaredDead: () => void;
}

/** The parts of a gateway, each made with those that it uses. */
export class GatewayParts {
  readonly counters = new GatewayMetrics();
  readonly tables = new OpenTables();
  readonly reports: Reports;
  readonly relays: Relays;
  readonly entrance: Entrance;
  readonly entry: EntryDependencies;
  readonly router: Router;
  /** null: the gateway was made without trunks. */
  readonly trunks: GatewayTrunks | null;
  readonly shares: GatewayShares;
  readonly endings: Endings;
  readonly offerers: RemoteOfferers;
  readonly directory: DirectoryCalls;
  readonly commands: CommandRunner;
  readonly prober: Prober;
  readonly dialler: Dialler;
  readonly orders: Orders;
  readonly dialServer: DialServer;
  readonly messaging: Messaging;
  readonly drains: Drains;
  readonly captures: Captures;
  readonly registration: Registration;
  readonly listeners: Listeners;
  readonly traffic: GatewayTraffic;
  readonly #options: GatewayOptions;
  readonly #deps: GatewayDependencies;
  readonly #gateway: PartsHost;

  constructor(options: GatewayOptions, deps: GatewayDependencies, gateway: PartsHost) {
    this.#options = options;
    this.#deps = deps;
    this.#gateway = gateway;
    this.reports = gateway.reports;
    const { id, reports } = gateway;
    const { clock, logger, tracing = NO_TRACING } = deps;
    const events = deps.events ?? new EventLog({ reporter: id }, deps);
    const peerEvents = new PeerEvents({ gateway: id }, { events });
    const metrics = this.counters;
    const { tables } = this;
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const shareLog = new ShareLog({ clock, logger, throttle, events });
    const limited = (limit: PoolLimit) => shareLog.limited(limit);
    const endings = new Endings(deps.endings ?? {}, { failed: (err) => this.#failed(err) });
    this.endings = endings;
    const shares = new GatewayShares(options, { limited, endings });
    this.shares = shares;
    const shared = { options, clock, logger, throttle, metrics, tables, reports, shares, endings };
    const flow = new Flow({ clock, longTurn: () => this.trunks?.longTurn() });
    const media = new MediaEvents();
    const ownLnkConn = new OwnLnkConn(randomBytes(MARK_BYTES));
    this.trunks = deps.makeTrunks?.(id, this.#trunkHost(flow)) ?? null;
    const trunks = this.trunks ?? NO_TRUNKS;
    this.relays = new Relays(shared);
    const relays = this.relays;
    const links = new Links({ ...shared, relays, tracing });
    this.router = new Router(
      {
        onDemandIdle: options.onDemandIdle,
        consolidateReads: options.consolidateReads,
        name: options.name,
        node: gatewayUuid(id()),
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
        relayMsgid: (linkId, lnkConnId) => relayMsgid(tables, id(), { linkId, lnkConnId }),
      }),
      routing: this.router.addressed,
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
    this.entrance = new Entrance(options, { clock, logger, events, shares, limited });
    const refusals = new RefusalLog({ intervalMs: LOG_INTERVAL_MS }, { clock });
    this.entry = { entrance: this.entrance, peers, metrics, clock, logger, throttle, refusals, shares };
    this.listeners = new Listeners(options, { entry: this.entry, logger });
    this.prober = new Prober(shared);
    this.dialler = new Dialler({
      ...this.entry,
      options,
      clock,
      shares,
      resolve: deps.resolve ?? namesOfTargets(deps),
      policy: new DialPolicy({ allow: options.dialAllow }, { ownPorts: () => this.#ownPorts() }),
    });
    this.orders = new Orders({ dialler: this.dialler, events: media, clock });
    this.dialServer = new DialServer(
      { gateway: id, firstBoot: gateway.identity.firstBoot, connectTimeout: options.connectTimeout },
      { orders: this.orders, events: media, tables, clock, logger },
    );
    this.directory =
      deps.makeDirectory?.(id) ?? new DirectoryCalls({ gateway: id, address: () => null }, { clock, logger });
    const { clients } = this.router;
    this.messaging = new Messaging(
      { gateway: id },
      { directory: this.directory, clients, reports, metrics: deps.metrics, clock, logger, events },
    );
    this.drains = new Drains(
      { deadlineMs: options.stopTimeout },
      { ...shared, relays, lnkConns, clients, random: deps.random, events, gateway: id },
    );
    this.captures = new Captures(tables.connections, { clock, logger });
    this.traffic = new GatewayTraffic({
      gateway: id,
      connections: tables.connections,
      trunks: () => this.trunks?.traffic() ?? [],
      classes: this.router.classes,
      clock,
    });
    const withholds = (limit: PoolLimit) => shareLog.withholds(limit);
    const offerers = new RemoteOfferers({ shares, relays, endings, reports, withholds });
    this.offerers = offerers;
    tables.onForgotten = (source) => offerers.forget(source);
    const ordered = { prober: this.prober, drains: this.drains, offerers };
    this.commands = new CommandRunner({ metrics, tables, relays, shares, tracing, ...ordered });
    this.registration = new Registration(gateway.identity, { bus: deps.bus, clock, logger, throttle });
  }

  /** Bytes queued for peers, on all connections together. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const { connection } of this.tables.connections.values()) bytes += connection.queuedBytes;
    return bytes;
  }

  /**
   * Connects for a shell. A target that does not answer our LNK_CONN is no peer, and the shell is not told what else it
   * may be.
   * @throws LinkGatewayError dial
   */
  async #dialAnswered(target: PeerTarget, dialect: Dialect | 'auto', asker: Asker): Promise<void> {
    const peer = await this.dialler.dial(target, dialect, { kind: 'shell' }, { asker });
    const { clock } = this.#deps;
    if (await answered(peer, { ms: this.#options.connectTimeout, clock })) return;
    peer.connection.close('unanswered');
    throw new LinkGatewayError('dial', { why: 'unreachable' });
  }

  *#ownPorts(): Iterable<number> {
    for (const { port } of this.listeners.ports) yield port;
    if (this.trunks !== null) yield this.trunks.port;
    yield* this.#deps.otherPorts?.() ?? [];
  }

  #trunkHost(flow: Flow): TrunkHost {
    const { tables } = this;
    return {
      flow,
      inSlices: (gateway, job) => this.endings.run(gateway, job),
      limited: (limit) => this.shares.limited(limit),
      sendLimit: this.#options.sendLimit,
      destinations: {
        connectionOfLink: (link) => tables.links.get(link)?.peer.id ?? 0,
        pressureOfConnection: (id) => tables.connections.get(id)?.connection ?? null,
      },
      changed: () => this.reports.trunks(() => this.trunks!.state()),
      declaredDead: () => {
        // The other gateway is out of date if a leader has accepted this one.
        if (!this.#gateway.isAttached()) this.#gateway.declaredDead();
      },
    };
  }

  /** A job of `Endings` has thrown: some transactions or peers were not told what has ended. */
  #failed(err: unknown): void {
    this.counters.internalErrors++;
    this.#deps.logger.error({ err }, 'not everybody was told what has ended');
  }

  #gone(peer: Peer, reason: CloseReason): void {
    this.entrance.admission.release(peer.connection.address);
    this.orders.gone(peer, reason);
    this.drains.gone(peer);
    this.captures.gone(peer.connection, reason);
  }
}
