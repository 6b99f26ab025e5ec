import type { Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { EndingJob } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { gatewayName } from '@spanmesh/proto/gateway-id';
import type { GatewayPeer, GatewayTrunks as TrunkState } from '@spanmesh/proto/v1/gateway_control';
import type { OpenTrunkRequest, OpenTrunkResponse } from '@spanmesh/proto/v1/trunk';
import type { HostPort } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { TrafficCounts } from '../connection/traffic-counts.ts';
import { TurnFlush } from '../connection/turn-flush.ts';
import { LinkGatewayError } from '../gateway-error.ts';
import { MAX_DEAD_GATEWAYS } from '../limits.ts';
import type { RemoteLinkKey, RouteSource, RouteTerminal, RouteTransaction, Trunks } from '../routing/trunks.ts';
import { FINISH_MS, MAX_TRUNKS } from './limits.ts';
import type { LocalDestinations } from './local-destinations.ts';
import { type AskForTrunk, askOverGrpc } from './open-trunk.ts';
import { PeerTrunk } from './peer-trunk.ts';
import { Tokens } from './tokens.ts';
import { TrunkListener } from './trunk-listener.ts';
import { TrunkMetrics } from './trunk-metrics.ts';
import { WindowShares } from './window-shares.ts';

export interface GatewayTrunksOptions {
  /** Id of this gateway, `<name>.<boot>`; read at each use. */
  readonly self: () => string;
  readonly listen: HostPort;
  /** Name of the setting, for a SettingError about `listen`. */
  readonly setting: string;
}

/** What the trunks need of their gateway. */
export interface TrunkHost {
  readonly destinations: LocalDestinations;
  /** Bytes that may be queued for a peer's connection. */
  readonly sendLimit: number;
  /** Messages passed on from a trunk's read, or onto a trunk, are written at the end of the read. */
  readonly flow: Flow;
  /**
   * Runs the job, which ends things on the trunk to `gateway`: some at once, the rest in later turns of the event
   * loop.
   */
  readonly inSlices: (gateway: GatewayId, job: EndingJob) => void;
  /** Called each time that a principal reaches a limit. */
  readonly limited: (limit: PoolLimit) => void;
  /**
   * A trunk was established or lost, or a gateway has become unreachable or reachable; `state` returns the new state.
   */
  readonly changed: () => void;
  /** Another gateway has answered that this gateway's id was declared dead. */
  readonly declaredDead: () => void;
}

export interface GatewayTrunksDependencies extends TrunkHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  /** Security of the calls to other gateways' service ports; default: plaintext. */
  readonly security?: ChannelSecurity;
  /** This gateway's certificate, for the trunks themselves; default: none, plain TCP on the loopback. */
  readonly tls?: TlsFiles | null;
  /** Which versions of other gateways are accepted; default: those compatible with ours. */
  readonly protocol?: ProtocolRule;
  /** Asks another gateway for a trunk; default: over gRPC. */
  readonly ask?: AskForTrunk;
}

/** The trunks of one gateway: one to each other gateway (architecture.md, "Trunk"). */
export class GatewayTrunks implements Trunks {
  readonly metrics = new TrunkMetrics();
  readonly #options: GatewayTrunksOptions;
  readonly #deps: GatewayTrunksDependencies;
  readonly #protocol: ProtocolRule;
  readonly #tokens: Tokens;
  readonly #shares: WindowShares;
  readonly #listener: TrunkListener;
  readonly #trunks = new Map<string, PeerTrunk>();
  /** Ids that the leader of this epoch has declared dead. */
  readonly #dead = new Set<string>();
  #epoch = 0;
  /** Routing; null before `start`, when there is no trunk. */
  #terminal: RouteTerminal | null = null;
  readonly #turnFlush = new TurnFlush();
  #port = 0;
  #stopping = false;
  /** Called when no trunk is established any more, while `stop` waits for that; otherwise null. */
  #allGone: (() => void) | null = null;

  constructor(options: GatewayTrunksOptions, deps: GatewayTrunksDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#protocol = deps.protocol ?? new ProtocolRule({}, deps);
    this.#tokens = new Tokens(deps.clock);
    this.#shares = new WindowShares(deps);
    const { clock, logger, tls = null } = deps;
    this.#listener = new TrunkListener(
      { listen: options.listen, setting: options.setting },
      {
        clock,
        logger,
        tokens: this.#tokens,
        tls,
        metrics: this.metrics,
        limited: deps.limited,
        accepted: (gateway, socket, rest) => this.#accepted(gateway, socket, rest),
      },
    );
  }

  /** Numbers of open things, for tests. */
  counts(): Record<'trunks' | 'established' | 'routes' | 'transactions' | 'tokens' | 'unauthenticated', number> {
    let transactions = 0;
    for (const trunk of this.#trunks.values()) transactions += trunk.openCount;
    return {
      trunks: this.#trunks.size,
      established: this.metrics.established,
      routes: this.metrics.routes,
      transactions,
      tokens: this.#tokens.size,
      unauthenticated: this.#listener.unauthenticated,
    };
  }

  /** Sizes of all tables of trunks. */
  tables(): TableSizes {
    return { ...this.counts(), dead: this.#dead.size, windows: this.#shares.size };
  }

  /** The port that other gateways connect to; 0 before `start`. */
  get port(): number {
    return this.#port;
  }

  /** Bytes queued for other gateways, on all trunks. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const trunk of this.#trunks.values()) bytes += trunk.queuedBytes;
    return bytes;
  }

  /** The established trunks: the id of the other gateway, and the counts of messages and bytes so far. */
  *traffic(): Iterable<[string, TrafficCounts]> {
    for (const trunk of this.#trunks.values()) {
      const { traffic } = trunk;
      if (traffic !== null) yield [trunk.gateway, traffic];
    }
  }

  /** Which gateways have an established trunk to this one, and which are unreachable (gateway_control.proto). */
  state(): TrunkState {
    const state: TrunkState = { established: [], unreachable: [] };
    for (const trunk of this.#trunks.values()) {
      if (trunk.isEstablished) state.established.push(trunk.gateway);
      else if (trunk.isUnreachable) state.unreachable.push(trunk.gateway);
    }
    return state;
  }

  /** Ids of all gateways known here: named by topology, or with a trunk. */
  get known(): Iterable<string> {
    return this.#trunks.keys();
  }

  /**
   * Listens for other gateways, and hands the routes that they open to `terminal`. No trunk is opened before. @throws
   * SettingError
   */
  async start(terminal: RouteTerminal): Promise<void> {
    this.#terminal = terminal;
    this.#port = await this.#listener.start();
  }

  /** Takes no more trunks or routes, ends the existing ones in order, and waits until they are gone, 1 s at most. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#listener.stop();
    this.#tokens.clear();
    for (const trunk of [...this.#trunks.values()]) trunk.finish();
    if (this.metrics.established > 0) {
      const gone = Promise.withResolvers<void>();
      this.#allGone = gone.resolve;
      const deadline = this.#deps.clock.after(FINISH_MS, gone.resolve);
      await gone.promise;
      deadline.cancel();
    }
    for (const trunk of [...this.#trunks.values()]) trunk.close('stopping');
    this.#trunks.clear();
  }

  /**
   * A leader of this epoch has accepted the gateway. If the epoch is higher than before, ids declared dead are
   * forgotten: the new leader may count them as alive.
   */
  welcomed(epoch: number): void {
    if (epoch > this.#epoch) this.#dead.clear();
    this.#epoch = epoch;
  }

  /**
   * Topology names other gateways that are new or have a new address (Commands.gateways). Gateways that the list leaves
   * out stay as they are.
   */
  listed(peers: readonly GatewayPeer[]): void {
    if (this.#stopping) return;
    for (const { gateway, serviceAddress } of peers) {
      if (gateway === this.#options.self() || this.#dead.has(gateway)) continue;
      const trunk = this.#trunk(gateway);
      if (trunk === null)
        this.#deps.logger.warn({ peer: gateway, limit: MAX_TRUNKS }, 'too many gateways: no trunk to this one');
      else trunk.listed(serviceAddress);
    }
  }

  /**
   * Topology has declared these gateways dead (Commands.gateways_gone): their trunks end, and none is opened under
   * these ids in this epoch.
   */
  gone(gateways: readonly string[]): void {
    for (const gateway of gateways) {
      this.#dead.delete(gateway);
      this.#dead.add(gateway);
      this.#forget(gateway);
    }
    for (const oldest of this.#dead) {
      if (this.#dead.size <= MAX_DEAD_GATEWAYS) break;
      this.#dead.delete(oldest);
    }
    this.#deps.changed();
  }

  /** This gateway has another id: trunks under the former id end, and are opened anew when needed. */
  renamed(): void {
    this.#tokens.clear();
    for (const trunk of [...this.#trunks.values()]) trunk.renamed();
  }

  /**
   * Another gateway calls Trunk.OpenTrunk (trunk.proto).
   * @throws LinkGatewayError trunk
   */
  openTrunk({ from, to, version }: OpenTrunkRequest): OpenTrunkResponse {
    if (this.#stopping || this.#port === 0) throw new LinkGatewayError('trunk', { why: 'stopping' });
    const self = this.#options.self();
    if (to !== self) throw new LinkGatewayError('trunk', { why: 'not-this-gateway' });
    if (gatewayName(from) === null || from === self)
      throw new LinkGatewayError('trunk', { why: 'invalid' }, { message: 'not a gateway' });
    if (this.#dead.has(from))
      throw new LinkGatewayError('trunk', { why: 'declared-dead' }, { message: `${from} was declared dead` });
    const agreement = this.#protocol.check(version, { role: 'gateway', who: `gateway ${from}` });
    if (agreement.kind === 'refused')
      throw new LinkGatewayError('trunk', { why: 'version' }, { message: agreement.why });
    const trunk = this.#trunk(from);
    if (trunk === null) throw new LinkGatewayError('trunk', { why: 'too-many' });
    return { address: `:${this.#port}`, token: Buffer.from(trunk.asked()), version: this.#protocol.own };
  }

  /** This turn of the event loop is long (Flow). */
  longTurn(): void {
    for (const trunk of this.#trunks.values()) trunk.longTurn();
  }

  route(link: RemoteLinkKey, dialect: Dialect, source: RouteSource | null, destination = 0): RouteTransaction | null {
    const trunk = this.#stopping ? undefined : this.#trunks.get(link.gateway);
    const tx = trunk?.route(link.number, dialect, source, destination) ?? null;
    if (tx === null) this.metrics.routesUnreachable++;
    return tx;
  }

  #trunk(gateway: GatewayId): PeerTrunk | null {
    const known = this.#trunks.get(gateway);
    if (known !== undefined) return known;
    const terminal = this.#terminal;
    if (terminal === null || this.#trunks.size >= MAX_TRUNKS) return null;
    const { clock, logger, random, destinations, changed, declaredDead, flow, inSlices, tls = null } = this.#deps;
    const { security = PLAINTEXT, ask = askOverGrpc(security) } = this.#deps;
    const trunk = new PeerTrunk(gateway, {
      self: this.#options.self,
      clock,
      logger,
      random,
      tokens: this.#tokens,
      ask,
      tls,
      protocol: this.#protocol,
      changed,
      declaredDead,
      metrics: this.metrics,
      terminal,
      destinations,
      shares: this.#shares,
      flow,
      inSlices,
      isProtected: tls !== null,
      flushLater: (end) => this.#turnFlush.later(end),
      down: (left) => this.#down(left),
    });
    this.#trunks.set(gateway, trunk);
    return trunk;
  }

  #forget(gateway: GatewayId): void {
    const trunk = this.#trunks.get(gateway);
    if (trunk === undefined) return;
    this.#trunks.delete(gateway);
    trunk.close('gone');
  }

  #down(trunk: PeerTrunk): void {
    if (!trunk.isListed && this.#trunks.get(trunk.gateway) === trunk) this.#trunks.delete(trunk.gateway);
    if (this.metrics.established === 0) this.#allGone?.();
  }

  #accepted(gateway: GatewayId, socket: Socket, rest: Uint8Array): void {
    const trunk = this.#stopping ? null : this.#trunk(gateway);
    if (trunk === null) socket.destroy();
    else trunk.accepted(socket, rest);
  }
}
