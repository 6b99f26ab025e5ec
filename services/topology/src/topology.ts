import { DirectoryService } from '@spanmesh/proto/v1/directory';
import { GatewayControlService } from '@spanmesh/proto/v1/gateway_control';
import { TopologyService } from '@spanmesh/proto/v1/topology';
import type { Bus, Subscription } from '@spanmesh/runtime/bus/bus';
import { LEASES_BUCKET, TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import type { Clock } from '@spanmesh/runtime/clock';
import { EventLog } from '@spanmesh/runtime/events/event-log';
import { Forwarder } from '@spanmesh/runtime/grpc/forwarder';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import type { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { countedMethod, GrpcTraffic } from '@spanmesh/runtime/grpc/grpc-traffic';
import type { GatewayAddress } from '@spanmesh/runtime/grpc/other-services';
import type { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { Lease } from '@spanmesh/runtime/lease/lease';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Service } from '@spanmesh/runtime/process/service';
import type { Random } from '@spanmesh/runtime/random';
import type { AuthenticatedCall } from '@spanmesh/runtime/tls/certificate-name';
import { gatewaysOfCaller } from '@spanmesh/runtime/tls/gateway-certificate';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { Tracing } from '@spanmesh/runtime/trace/tracing';
import { READS } from './api/api.ts';
import type { AttachStream } from './attach/attachment.ts';
import type { LeaseView } from './attach/leadership.ts';
import { BusPresence } from './attach/presence.ts';
import { Core } from './core.ts';
import { ReplicaEvents } from './events/replica-events.ts';
import { registerAttachTraffic, registerEventMetrics, registerMetrics } from './metrics.ts';
import type { GatewayChannel } from './operate/captures.ts';
import { EncodedReplicationService } from './replication/messages.ts';
import { openCall } from './replication/open-call.ts';
import type { FollowStream } from './replication/standby-stream.ts';
import { rnssAdd, sharedSettings, type TopologySettings, widthsOf } from './settings.ts';
import type { HistoryLimits } from './trees/history.ts';

export interface TopologyOptions {
  readonly settings: TopologySettings;
  /** Where gateways and other replicas reach this one's service port, `host:port`; read at start. */
  readonly address: () => string;
  /** Version of the software. */
  readonly version: string;
  readonly history?: HistoryLimits;
  /** The version of replication that the replica claims to speak; for tests with several versions. */
  readonly replicationVersion?: number | undefined;
}

export interface TopologyDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The server of the API; it must not have been started. */
  readonly apiServer: Pick<GrpcServer, 'addService'>;
  /** The server that gateways call, which users of the API cannot reach; it must not have been started. */
  readonly serviceServer: Pick<GrpcServer, 'addService'>;
  readonly random: Random;
  /** Where this process reports events; default: a log of this service alone. */
  readonly events?: EventLog;
  /** How other replicas are called: `Security.channel(TOPOLOGY_NAME)`; default: in plaintext. */
  readonly security?: ChannelSecurity;
  /** How gateways are called; default: in plaintext, at the address that they state. */
  readonly gatewayChannel?: GatewayChannel;
  /** Which protocol versions of gateways are accepted; default: those compatible with ours. */
  readonly protocol?: ProtocolRule;
  /** Where traces are sent; default: nowhere. */
  readonly tracing?: Pick<Tracing, 'tracer'>;
}

/** The topology service, in any process. It adds its gRPC services at once, and competes for the lease once started. */
export class Topology implements Service {
  readonly core: Core;
  readonly events: ReplicaEvents;
  readonly #options: TopologyOptions;
  readonly #deps: TopologyDeps;
  readonly #forwarder: Forwarder;
  #lease: Lease | undefined;
  readonly #presence: BusPresence;
  #subscriptions: Subscription[] = [];

  constructor(options: TopologyOptions, deps: TopologyDeps) {
    this.#options = options;
    this.#deps = deps;
    const { settings, version, address, history, replicationVersion } = options;
    const { bus, clock, logger, metrics, apiServer, serviceServer, random, security = PLAINTEXT, protocol } = deps;
    const { installation, leaseTtlMs } = settings;
    const { events = new EventLog({ reporter: () => `topology at ${address()}` }, deps) } = deps;
    this.#presence = new BusPresence({ bus, clock });
    this.core = new Core(
      {
        widths: widthsOf(settings),
        rnssAdd: rnssAdd(settings),
        version,
        address,
        installation,
        settings: sharedSettings(settings),
        leaseTtlMs,
        ...(history && { history }),
        replicationVersion,
      },
      {
        lease: this.#leaseView(),
        presence: this.#presence,
        clock,
        logger,
        events,
        gatewayChannel: deps.gatewayChannel,
        tracing: deps.tracing,
        following: { open: (at) => openCall(at, security), random },
        ...(protocol && { protocol }),
      },
    );
    const { core } = this;
    this.events = new ReplicaEvents({ bus, events, shares: core.api.shares, clock, logger, random, security });
    this.events.addTo({ api: apiServer, service: serviceServer });
    const traffic = new GrpcTraffic();
    serviceServer.addService(
      { attach: countedMethod(GatewayControlService.attach, traffic) },
      { attach: (stream: AttachStream & AuthenticatedCall) => core.control.attach(stream, gatewaysOfCaller(stream)) },
    );
    serviceServer.addService(EncodedReplicationService, {
      follow: (stream: FollowStream) => core.publisher.follow(stream),
    });
    serviceServer.addService(DirectoryService, core.directory.implementation);
    // The forwarder also serves gateways, whose debug shells print trees: they have certificates and no token.
    this.#forwarder = new Forwarder({ leader: () => this.#lease?.leaderElsewhere() ?? null, security });
    const anyReplica = this.#forwarder.wrap(
      TopologyService,
      core.api.implementation,
      (method) => READS.has(method) && core.view() !== null,
    );
    for (const server of [apiServer, serviceServer]) {
      server.addService(anyReplica.definition, anyReplica.implementation);
    }
    registerMetrics(metrics, core);
    registerEventMetrics(metrics, this.events);
    registerAttachTraffic(metrics, traffic);
    metrics.counter(
      'spanmesh_topology_calls_forwarded_total',
      'Calls of the API that were passed on to the replica that leads.',
      () => this.#forwarder.forwarded,
    );
  }

  /**
   * Why this replica is not ready; null: it is. It is ready if it leads and every existing gateway has reported to it;
   * if another replica leads; or if another one led and this one has replicated its trees. It stays ready while the
   * store is away, as the trees can be read.
   */
  notReady(): string | null {
    const { leadership } = this.core;
    if (!leadership.inTerm) {
      return this.core.view() !== null || this.#lease?.holder() ? null : 'no topology replica leads';
    }
    return leadership.settled ? null : 'not all gateways have attached yet';
  }

  /** The gateways that take calls of users, as far as this replica knows. */
  gatewaysToAsk(): GatewayAddress[] {
    const found: GatewayAddress[] = [];
    for (const gateway of this.core.view()?.trees.gateways.values() ?? []) {
      const { id, name, serviceAddress: address, attached, draining } = gateway;
      if (attached && !draining && address !== '') found.push({ id, name, address });
    }
    return found;
  }

  async start(): Promise<void> {
    const { bus, clock, random } = this.#deps;
    const { settings, address } = this.#options;
    const kv = await bus.kv(LEASES_BUCKET);
    const shared = sharedSettings(settings);
    const lease = { role: TOPOLOGY_ROLE, address: address(), ttlMs: settings.leaseTtlMs, settings: shared };
    this.#lease = new Lease(lease, { kv, clock, random });
    const { id } = this.#lease;
    this.events.start();
    // Before the lease, because a leader must know which gateways to wait for.
    await this.#presence.start({
      self: () => ({ kind: 'topology', id, name: address() }),
      changed: () => this.core.term.presenceChanged(),
    });
    this.#subscriptions.push(
      this.#lease.onChange((state) => {
        this.core.term.leaseChanged(state);
        this.events.leaseChanged(state, address());
        this.#forwarder.leaderChanged();
      }),
    );
    this.#lease.start();
  }

  /** Releases the lease, so that another replica leads at once, and ends all streams. */
  async stop(): Promise<void> {
    await this.#lease?.stop();
    this.#forwarder.stop();
    this.events.stop();
    this.core.term.abdicate('This topology replica stops: find the one that leads.');
    this.core.traffic.stop();
    await this.#presence.stop();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions = [];
  }

  #leaseView(): LeaseView {
    const lease = () => this.#lease;
    return {
      get epoch() {
        return lease()?.epoch ?? 0;
      },
      isValid: () => lease()?.isValid() ?? false,
      holder: () => lease()?.holder() ?? null,
      get id() {
        return lease()?.id ?? '';
      },
      get holderId() {
        return lease()?.holderId ?? '';
      },
      get ageMs() {
        return lease()?.ageMs ?? 0;
      },
      stepDown: (ms) => lease()?.stepDown(ms),
      get frozenSince() {
        return lease()?.frozenSince ?? null;
      },
      raiseEpoch: (atLeast) => lease()?.raiseEpoch(atLeast) ?? Promise.resolve(),
    };
  }
}

export function createTopology(options: TopologyOptions, deps: TopologyDeps): Topology {
  return new Topology(options, deps);
}
