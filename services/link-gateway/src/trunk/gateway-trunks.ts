import type { Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { type GatewayPeer, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { OpenTrunkRequest, OpenTrunkResponse } from '@spanmesh/proto/v1/trunk';
import type { HostPort } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import { PLAINTEXT } from '@spanmesh/runtime/grpc-client';
import type { Logger } from '@spanmesh/runtime/logger';
import { ProtocolRule } from '@spanmesh/runtime/protocol-version';
import type { Random } from '@spanmesh/runtime/random';
import type { ChannelSecurity } from '@spanmesh/runtime/tls-credentials';
import type { TlsFiles } from '@spanmesh/runtime/tls-files';
import { Turn } from '@spanmesh/runtime/turn';
import type { Flow } from '../routing/flow.ts';
import type { Pressure, RemoteLinkKey, RouteSource, RouteTerminal, Trunks } from '../routing/trunks.ts';
import { FINISH_MS, MAX_TRUNKS } from './limits.ts';
import { type AskForTrunk, askOverGrpc } from './open-trunk.ts';
import { PeerTrunk } from './peer-trunk.ts';
import { Route } from './route.ts';
import { Tokens } from './tokens.ts';
import type { LocalDestinations, TrunkEnd } from './trunk-end.ts';
import { TrunkError } from './trunk-error.ts';
import { TrunkListener } from './trunk-listener.ts';
import { TrunkMetrics } from './trunk-metrics.ts';
import { WindowShares } from './window-shares.ts';

export interface GatewayTrunksOptions {
  /** Id of this gateway, `<name>.<boot>`. */
  readonly self: string;
  readonly listen: HostPort;
  /** What a SettingError about `listen` names. */
  readonly setting: string;
}

/** What the gateway is to its trunks. */
export interface TrunkHost {
  /** Asked for when the first trunk is made: routing needs the trunks, too. */
  readonly terminal: () => RouteTerminal;
  readonly destinations: LocalDestinations;
  /** Bytes that may wait for a connection. */
  readonly sendLimit: number;
  /** Asked for when the first trunk is made, too. What is passed on out of a trunk's read, or onto a trunk, is written at the read's end. */
  readonly flow: () => Flow;
  /** Whether a gateway's links count as reachable from here has changed (StateChange.reachability). */
  readonly reachable: (gateway: string, isReachable: boolean) => void;
}

export interface GatewayTrunksDependencies extends TrunkHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  /** How the other gateways' service ports are called; default: plaintext. */
  readonly security?: ChannelSecurity;
  /** This gateway's certificate, for the trunks themselves; default: none, plain TCP on the loopback. */
  readonly tls?: TlsFiles | null;
  /** Which versions of other gateways are understood; default: those that fit to ours. */
  readonly protocol?: ProtocolRule;
  /** Default: over gRPC. */
  readonly ask?: AskForTrunk;
}

/** Ids are `<name>.<boot>` (gateway_control.proto, Hello). */
const GATEWAY_ID = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.[0-9a-f]{8}$/;

/** The trunks of one gateway: one for each other gateway that it has to do with (architecture.md, "Trunk"). */
export class GatewayTrunks implements Trunks {
  readonly metrics = new TrunkMetrics();
  readonly #options: GatewayTrunksOptions;
  readonly #deps: GatewayTrunksDependencies;
  readonly #protocol: ProtocolRule;
  readonly #tokens: Tokens;
  readonly #shares: WindowShares;
  readonly #listener: TrunkListener;
  readonly #trunks = new Map<string, PeerTrunk>();
  readonly #turn: Turn;
  #dirty: TrunkEnd[] = [];
  #port = 0;
  #stopping = false;
  /** Resolves when nothing stands any more. */
  #allGone: (() => void) | null = null;

  constructor(options: GatewayTrunksOptions, deps: GatewayTrunksDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#protocol = deps.protocol ?? new ProtocolRule({}, deps);
    this.#tokens = new Tokens(deps.clock);
    this.#shares = new WindowShares(deps);
    this.#turn = new Turn(() => this.#flush());
    const { clock, logger, tls = null } = deps;
    this.#listener = new TrunkListener(
      { listen: options.listen, setting: options.setting },
      {
        clock,
        logger,
        tokens: this.#tokens,
        tls,
        metrics: this.metrics,
        accepted: (gateway, socket, rest) => this.#accepted(gateway, socket, rest),
      },
    );
  }

  /** What is open at this moment, for tests. */
  counts(): Record<'trunks' | 'standing' | 'routes' | 'transactions' | 'tokens' | 'unauthenticated', number> {
    let transactions = 0;
    for (const trunk of this.#trunks.values()) transactions += trunk.openCount;
    return {
      trunks: this.#trunks.size,
      standing: this.metrics.standing,
      routes: this.metrics.routes,
      transactions,
      tokens: this.#tokens.size,
      unauthenticated: this.#listener.unauthenticated,
    };
  }

  /** Where other gateways connect to, once started; 0 before. */
  get port(): number {
    return this.#port;
  }

  /** Bytes that wait for other gateways. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const trunk of this.#trunks.values()) bytes += trunk.queuedBytes;
    return bytes;
  }

  /** Gateways that topology was told cannot be reached from here. */
  unreachable(): string[] {
    return [...this.#trunks.values()].filter((trunk) => trunk.isUnreachable).map(({ gateway }) => gateway);
  }

  /** The same for a snapshot. */
  cut(): StateChange[] {
    const change = StateChange.create();
    for (const gateway of this.unreachable()) change.reachability.push({ gateway, reachable: false });
    return change.reachability.length === 0 ? [] : [change];
  }

  /** Listens for other gateways. @throws SettingError */
  async start(): Promise<void> {
    this.#port = await this.#listener.start();
  }

  /** Takes no more trunks or routes, ends those that are there in order, and waits until they are gone, 1 s at most. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#listener.stop();
    this.#tokens.clear();
    for (const trunk of [...this.#trunks.values()]) trunk.finish();
    if (this.metrics.standing > 0) {
      const gone = Promise.withResolvers<void>();
      this.#allGone = gone.resolve;
      const deadline = this.#deps.clock.after(FINISH_MS, gone.resolve);
      await gone.promise;
      deadline.cancel();
    }
    for (const trunk of [...this.#trunks.values()]) trunk.close('stopping');
    this.#trunks.clear();
  }

  /** The other gateways, all of them (Commands.gateways). One that has left the list loses its trunk. */
  gateways(peers: readonly GatewayPeer[]): void {
    if (this.#stopping) return;
    const listed = new Set(peers.map(({ gateway }) => gateway));
    for (const trunk of [...this.#trunks.values()]) {
      if (!trunk.isListed || listed.has(trunk.gateway)) continue;
      this.#trunks.delete(trunk.gateway);
      trunk.close('unlisted');
    }
    for (const { gateway, serviceAddress } of peers) {
      if (gateway !== this.#options.self) this.#trunk(gateway)?.listed(serviceAddress);
    }
  }

  /**
   * Trunk.OpenTrunk of another gateway (trunk.proto).
   * @throws TrunkError
   */
  openTrunk({ from, to, version }: OpenTrunkRequest): OpenTrunkResponse {
    if (this.#stopping || this.#port === 0) throw new TrunkError('stopping');
    if (to !== this.#options.self) throw new TrunkError('not-this-gateway');
    if (!GATEWAY_ID.test(from) || from === this.#options.self) throw new TrunkError('invalid', 'not a gateway');
    const agreement = this.#protocol.check(version, { role: 'gateway', who: `gateway ${from}` });
    if (agreement.kind === 'refused') throw new TrunkError('version', agreement.why);
    const trunk = this.#trunk(from);
    if (trunk === null) throw new TrunkError('too-many');
    return { address: `:${this.#port}`, token: Buffer.from(trunk.asked()), version: this.#protocol.own };
  }

  route(link: RemoteLinkKey, dialect: Dialect, source: RouteSource | null, destination = 0): Transaction | null {
    const trunk = this.#stopping ? undefined : this.#trunks.get(link.gateway);
    const tx = trunk?.route(link.number, dialect, source, destination) ?? null;
    if (tx === null) this.metrics.routesUnreachable++;
    return tx;
  }

  dropRoute(route: Transaction): void {
    if (route.handler instanceof Route) route.handler.drop(route);
  }

  pressureOf(route: Transaction): Pressure {
    return route.handler as Route;
  }

  #trunk(gateway: string): PeerTrunk | null {
    const known = this.#trunks.get(gateway);
    if (known !== undefined) return known;
    if (this.#trunks.size >= MAX_TRUNKS) return null;
    const { clock, logger, random, destinations, reachable, terminal, flow, tls = null } = this.#deps;
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
      reachable,
      metrics: this.metrics,
      terminal: terminal(),
      destinations,
      shares: this.#shares,
      flow: flow(),
      isProtected: tls !== null,
      flushLater: (end) => {
        this.#dirty.push(end);
        this.#turn.request();
      },
      down: (left) => this.#down(left),
    });
    this.#trunks.set(gateway, trunk);
    return trunk;
  }

  #down(trunk: PeerTrunk): void {
    if (!trunk.isListed && this.#trunks.get(trunk.gateway) === trunk) this.#trunks.delete(trunk.gateway);
    if (this.metrics.standing === 0) this.#allGone?.();
  }

  #accepted(gateway: string, socket: Socket, rest: Uint8Array): void {
    const trunk = this.#stopping ? null : this.#trunk(gateway);
    if (trunk === null) socket.destroy();
    else trunk.accepted(socket, rest);
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const end of dirty) end.flush();
  }
}
