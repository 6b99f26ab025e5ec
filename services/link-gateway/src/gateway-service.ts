import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import { StateChangeParts } from '@spanmesh/proto/state-change';
import type { Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Service } from '@spanmesh/runtime/process/service';
import type { Explained, TableSizes } from '@spanmesh/runtime/table-sizes';
import { VERSION } from '@spanmesh/runtime/version';
import type { Attach, AttachRefusal } from './attach/attach.ts';
import type { AttachHost, GatewayIdentity } from './attach/attach-host.ts';
import { Reports } from './attach/reports.ts';
import { cutSnapshot } from './attach/snapshot.ts';
import type { Captures } from './capture/captures.ts';
import type { Origin } from './connection/origin.ts';
import { type Asker, OPERATOR } from './dial/asker.ts';
import type { DialServer } from './dial/dial-server.ts';
import type { ListenPort } from './entrance/listeners.ts';
import { registerEntranceMetrics } from './entrance/register-entrance-metrics.ts';
import { bootId } from './gateway-ids.ts';
import { type GatewayDependencies, GatewayParts } from './gateway-parts.ts';
import { PART_BYTES } from './limits.ts';
import type { Messaging } from './messaging/messaging.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { OpenTables } from './peers/open-tables.ts';
import type { Peer } from './peers/peer.ts';
import { registerMetrics } from './register-metrics.ts';
import { registerOpenMetrics } from './register-open-metrics.ts';
import type { LocalClients } from './routing/local-clients.ts';
import type { Router } from './routing/router.ts';
import type { RouteTerminal } from './routing/trunks.ts';
import type { GatewayOptions } from './settings.ts';
import type { GatewayTraffic } from './traffic/gateway-traffic.ts';
import type { GatewayTrunks } from './trunk/gateway-trunks.ts';
import { registerTrunkMetrics } from './trunk/trunk-metrics.ts';

export type { ListenPort } from './entrance/listeners.ts';

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
  readonly counters: GatewayMetrics;
  /** The gRPC service GatewayTraffic (traffic.proto), for the service port. */
  readonly traffic: GatewayTraffic;

  readonly #deps: GatewayDependencies;
  readonly #parts: GatewayParts;
  readonly #attach: Attach;
  #boot: string;
  #stopping = false;

  constructor(options: GatewayOptions, deps: GatewayDependencies) {
    this.#deps = deps;
    this.#boot = bootId(deps.random());
    const boot = () => this.#boot;
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
    const reports = new Reports();
    this.#attach = deps.makeAttach(this, reports);
    const parts = new GatewayParts(options, deps, {
      identity: this.identity,
      reports,
      id: () => this.id,
      isAttached: () => this.#attach.attached,
      declaredDead: () => this.declaredDead(),
    });
    this.#parts = parts;
    this.counters = parts.counters;
    this.traffic = parts.traffic;
    const { counters: metrics, tables, entrance, shares, trunks } = parts;
    registerMetrics(deps.metrics, { metrics, tables, entrance, shares });
    registerOpenMetrics(deps.metrics, this);
    registerEntranceMetrics(deps.metrics, entrance);
    if (trunks !== null) registerTrunkMetrics(deps.metrics, trunks.metrics);
  }

  /** `<name>.<boot>`, the prefix of all ids of this gateway. It changes when a leader has declared the gateway dead. */
  get id(): string {
    return `${this.identity.name}.${this.identity.boot}`;
  }

  /** The gRPC service Dial (dial.proto), for the service port. */
  get dialImplementation(): DialServer['implementation'] {
    return this.#parts.dialServer.implementation;
  }

  /** The gRPC service Capture (capture.proto), for the service port. */
  get captureImplementation(): Captures['implementation'] {
    return this.#parts.captures.implementation;
  }

  /** The gRPC service Messaging (messaging.proto), for users of the API. */
  get messagingImplementation(): Messaging['implementation'] {
    return this.#parts.messaging.implementation;
  }

  /** The ports that peers connect to, in the order of the setting; after `start`. */
  get ports(): readonly ListenPort[] {
    return this.#parts.listeners.ports;
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
      ...this.#parts.tables.counts(),
      relays: this.counters.relays,
      onDemandRelays: this.counters.onDemandRelays,
      ...this.#parts.router.counts(),
      ...this.#parts.messaging.counts(),
    };
  }

  /** Sizes of all tables of this gateway. `KEPT` names those that may have entries after all peers have gone. */
  tables(): TableSizes {
    const shares = Object.entries(this.#parts.shares.tables()).map(
      ([name, size]) => [`shares, ${name}`, size] as const,
    );
    const trunks = Object.entries(this.#parts.trunks?.tables() ?? {}).map(
      ([name, size]) => [`trunks, ${name}`, size] as const,
    );
    return {
      ...this.counts(),
      ...this.#parts.router.tables(),
      ...Object.fromEntries(shares),
      ...Object.fromEntries(trunks),
      handshakes: this.#parts.entrance.handshaker.total,
      dialOwners: this.#parts.orders.size,
      dialledSockets: this.#parts.orders.sockets,
      mediaWatches: this.#parts.dialServer.watches,
      captures: this.#parts.captures.running,
      drains: this.#parts.drains.known,
      endings: this.#parts.endings.size,
      remoteOfferers: this.#parts.offerers.size,
      connectionsThatTopologyHoldsUp: this.#parts.reports.pressure.waiting,
      queuedBytes: this.queuedBytes,
    };
  }

  /** Opens routes for clients in this process. */
  get clients(): LocalClients {
    return this.#parts.router.clients;
  }

  /** Takes the routes that other gateways open here. */
  get terminal(): RouteTerminal {
    return this.#parts.router.terminal;
  }

  /** The trunks to other gateways; null: the gateway was made without trunks. */
  get trunks(): GatewayTrunks | null {
    return this.#parts.trunks;
  }

  /** Bytes queued for peers, on all connections together. */
  get queuedBytes(): number {
    return this.#parts.queuedBytes;
  }

  /** Number of files in the keys directory that cannot be used. */
  get keysProblems(): number {
    return this.#parts.entrance.keys?.problems ?? 0;
  }

  /**
   * Listens, then reports to topology.
   * @throws SettingError: the keys directory cannot be read, an address cannot be listened on.
   */
  async start(): Promise<void> {
    await this.#parts.entrance.start();
    try {
      await this.#parts.listeners.start();
      await this.#parts.trunks?.start(this.#parts.router.terminal);
    } catch (error) {
      this.#parts.listeners.stop();
      throw error;
    }
    this.#parts.prober.start();
    this.#attach.start();
    await this.#parts.registration.start();
    this.#deps.logger.info({ gateway: this.id, ports: this.ports }, 'link-gateway is listening');
  }

  /**
   * Takes no more connections and no more orders, and closes the existing connections in order (drain/drains.ts) within
   * the time of the setting. Then leaves topology.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#parts.listeners.stop();
    this.#parts.entrance.stop();
    this.#parts.prober.stop();
    this.#parts.messaging.takeNoMore();
    this.#parts.orders.stop();
    this.#parts.registration.leaving();
    await this.#parts.drains.stop();
    await new Promise<void>((resolve) => this.#parts.endings.whenIdle(resolve));
    this.#parts.messaging.stop();
    this.#parts.dialServer.stop();
    this.#parts.captures.stop();
    await this.#parts.trunks?.stop();
    await this.#attach.stop();
    await this.#parts.registration.stop();
  }

  /** While the gateway stops: ends the drain without further grace. */
  hurry(): void {
    this.#parts.drains.hurry();
  }

  /** Connects to a peer. @throws LinkGatewayError dial */
  dial(target: PeerTarget, dialect: Dialect | 'auto', origin: Origin, asker: Asker = OPERATOR): Promise<Peer> {
    return this.#parts.dialler.dial(target, dialect, origin, { asker });
  }

  welcomed(epoch: number, rnssAdd: number): void {
    this.#parts.relays.rnssAdd = rnssAdd;
    this.#parts.trunks?.welcomed(epoch);
    // Another boot of this name may have overwritten the registry entry while both asked to be accepted.
    this.#parts.registration.renew();
  }

  /** Ids of the gateways that topology has named, that have a trunk, or whose links are known here. */
  get gatewaysKnown(): ReadonlySet<string> {
    return new Set([...(this.#parts.trunks?.known ?? []), ...this.#parts.tables.remoteLinks.keys()]);
  }

  get lastNumber(): number {
    return this.#parts.tables.lastNumber;
  }

  snapshot(): Job<StateChange[]> {
    const parts = new StateChangeParts(PART_BYTES);
    this.#parts.messaging.held.cut(parts);
    parts.trunks(this.#parts.trunks?.state() ?? { established: [], unreachable: [] });
    const principals = this.#parts.offerers.withheld();
    if (principals.length > 0) parts.withheld({ principals });
    this.#parts.drains.cut(parts);
    return finishing(cutSnapshot(this.#parts.tables, parts), parts);
  }

  *applying(commands: Commands): Job<void> {
    if (commands.gatewaysGone.length > 0) yield* this.#gatewaysGone(commands.gatewaysGone);
    if (commands.gateways.length > 0) this.#parts.trunks?.listed(commands.gateways);
    yield* this.#parts.commands.running(commands);
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
    this.#parts.trunks?.renamed();
    this.#parts.directory.askAgain();
    this.#parts.registration.renew();
  }

  *#gatewaysGone(gateways: readonly string[]): Job<void> {
    const others = gateways.filter((gateway) => gateway !== this.id);
    this.#parts.trunks?.gone(others);
    for (const gateway of others) yield* this.#parts.commands.forgettingGateway(gateway);
  }
}

function* finishing(cutting: Job<void>, { all }: StateChangeParts): Job<StateChange[]> {
  yield* cutting;
  return all;
}
