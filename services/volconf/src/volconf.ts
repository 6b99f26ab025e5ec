import { gatewayId } from '@spanmesh/proto/gateway-id';
import { EventKind } from '@spanmesh/proto/v1/events';
import { VolconfService } from '@spanmesh/proto/v1/volconf';
import type { Bus, Subscription } from '@spanmesh/runtime/bus/bus';
import { GATEWAYS_BUCKET, LEASES_BUCKET, TARGETS_BUCKET, VOLCONF_ROLE } from '@spanmesh/runtime/bus/bus-names';
import type { Clock } from '@spanmesh/runtime/clock';
import { EventLog } from '@spanmesh/runtime/events/event-log';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { type GatewayRecord, GatewayRegistry } from '@spanmesh/runtime/gateways/registry';
import { SignOfLife } from '@spanmesh/runtime/gateways/signs-of-life';
import { Forwarder } from '@spanmesh/runtime/grpc/forwarder';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import type { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import type { GatewayAddress } from '@spanmesh/runtime/grpc/other-services';
import { Lease, type LeaseState } from '@spanmesh/runtime/lease/lease';
import { notLeading } from '@spanmesh/runtime/lease/not-leading';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Service } from '@spanmesh/runtime/process/service';
import type { Random } from '@spanmesh/runtime/random';
import { type ChannelSecurity, meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import type { Tracing } from '@spanmesh/runtime/trace/tracing';
import { VERSION } from '@spanmesh/runtime/version';
import { Api } from './api.ts';
import { publishTarget, tellTarget } from './events.ts';
import type { GatewayPort } from './gateways/gateway-port.ts';
import { GrpcGatewayPort } from './gateways/grpc-gateway-port.ts';
import { LOG_INTERVAL_MS } from './limits.ts';
import { registerMetrics, type Totals } from './metrics.ts';
import type { Target, TargetState } from './reconciler/target.ts';
import { visible } from './reconciler/target.ts';
import type { VolconfSettings } from './settings.ts';
import { AutoconnFile } from './targets/autoconn-file.ts';
import { OperatorTargets } from './targets/operator-targets.ts';
import { AllWantedTargets, type WantedTargets } from './targets/wanted-targets.ts';
import { Term } from './term.ts';

export interface VolconfOptions {
  readonly settings: VolconfSettings;
  /** Where other replicas reach this one's service port, `host:port`; read at start. */
  readonly address: () => string;
}

export interface VolconfDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly random: Random;
  /** Where it reports events about its targets; default: a log of this service alone. */
  readonly events?: EventTeller;
  /** The server of the API, to which the Volconf service is added; it must not have been started. */
  readonly grpcServer: Pick<GrpcServer, 'addService'>;
  /**
   * The server that other replicas call, which pass calls of the API on to the leader; it must not have been started.
   */
  readonly serviceServer?: Pick<GrpcServer, 'addService'>;
  /** How other replicas are called: `Security.channel(VOLCONF_NAME)`; default: in plaintext. */
  readonly replicaSecurity?: ChannelSecurity;
  /** How gateways are called: `Security.channel(LINK_GATEWAY_NAME)`; default: in plaintext. */
  readonly security?: ChannelSecurity;
  /**
   * Address of a gateway's service port, `host:port`; empty: it cannot be reached. Default: the one in its registry
   * entry.
   */
  readonly gatewayAddress?: (record: GatewayRecord) => string;
  /** Where traces of dials are sent; default: nowhere. */
  readonly tracing?: Pick<Tracing, 'tracer'>;
  /** Opens a port to a gateway; null: there is none. Default: gRPC to its address. */
  readonly connect?: (record: GatewayRecord) => GatewayPort | null;
}

/** The volconf service, in any process. It adds its gRPC service at once, and competes for the lease once started. */
export class Volconf implements Service {
  readonly api: Api;
  /** Hosts of the autoconn file; null: there is no such setting. */
  readonly autoconn: AutoconnFile | null;
  readonly #options: VolconfOptions;
  readonly #deps: VolconfDeps;
  readonly #throttle: Throttle;
  readonly #events: EventTeller;
  readonly #forwarder: Forwarder;
  #lease: Lease | null = null;
  #registry: GatewayRegistry | null = null;
  #sign: SignOfLife | null = null;
  #operators: OperatorTargets | null = null;
  #wanted: WantedTargets = new AllWantedTargets([]);
  #subscriptions: Subscription[] = [];
  #term: Term | null = null;
  #leadingSince: number | null = null;
  #past: Totals = { attemptsMade: 0, attemptsFailed: 0, connectionsLost: 0, adopted: 0, hangups: 0, slotsIgnored: 0 };

  constructor(options: VolconfOptions, deps: VolconfDeps) {
    this.#options = options;
    this.#deps = deps;
    const { clock, logger, grpcServer, serviceServer, metrics, replicaSecurity: security = PLAINTEXT } = deps;
    this.#events = deps.events ?? new EventLog({ reporter: () => `volconf at ${options.address()}` }, deps);
    const { autoconnFile: file } = options.settings;
    this.autoconn = file === '' ? null : new AutoconnFile({ file }, { clock, logger });
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    this.api = new Api(
      { defaultPort: options.settings.volconfPort },
      {
        clock,
        logger,
        term: () => this.#term,
        notLeading: () => notLeading('volconf', this.#lease?.holder()?.address ?? ''),
        operators: () => this.#operators,
      },
    );
    this.#forwarder = new Forwarder({ leader: () => this.#lease?.leaderElsewhere() ?? null, security });
    const anyReplica = this.#forwarder.wrap(VolconfService, this.api.implementation);
    grpcServer.addService(anyReplica.definition, anyReplica.implementation);
    serviceServer?.addService(anyReplica.definition, anyReplica.implementation);
    registerMetrics(metrics, this);
  }

  /** The current term of this replica; null: it does not lead. */
  get term(): Term | null {
    return this.#term;
  }

  get leads(): boolean {
    return this.#lease?.isValid() ?? false;
  }

  get epoch(): number {
    return this.#lease?.epoch ?? 0;
  }

  /** Why this replica is not ready; null: it leads and has heard the gateways, or another replica leads. */
  notReady(): string | null {
    if (this.#term !== null) return this.#term.fleet.gathered ? null : 'not all gateways have been heard yet';
    return this.#lease?.holder() ? null : 'no volconf replica leads';
  }

  /** The gateways that take calls of users. */
  gatewaysToAsk(): GatewayAddress[] {
    const gateways = this.#registry?.gateways() ?? [];
    return gateways
      .filter(({ draining, serviceAddress }) => !draining && serviceAddress !== '')
      .map((record) => ({ id: gatewayId(record), name: record.name, address: record.serviceAddress }));
  }

  totals = (): Totals => {
    const { reconciler, slotsIgnored } = this.#term ?? {};
    const past = this.#past;
    return {
      attemptsMade: past.attemptsMade + (reconciler?.attemptsMade ?? 0),
      attemptsFailed: past.attemptsFailed + (reconciler?.attemptsFailed ?? 0),
      connectionsLost: past.connectionsLost + (reconciler?.connectionsLost ?? 0),
      adopted: past.adopted + (reconciler?.adopted ?? 0),
      hangups: past.hangups + (reconciler?.hangups ?? 0),
      slotsIgnored: past.slotsIgnored + (slotsIgnored ?? 0),
    };
  };

  /**
   * Starts the replica.
   * @throws SettingError: the directory of targets cannot be used
   */
  async start(): Promise<void> {
    const { bus, clock, logger, random } = this.#deps;
    const { settings, address } = this.#options;
    this.#operators = new OperatorTargets({ kv: await bus.kv(TARGETS_BUCKET), clock, logger });
    this.#subscriptions.push(this.#operators.onChange((name) => this.#operatorChanged(name)));
    await this.#operators.start();
    if (this.autoconn !== null) {
      this.#subscriptions.push(this.autoconn.onChange((name) => this.#operatorChanged(name)));
      await this.autoconn.start();
    }
    this.#wanted = new AllWantedTargets([this.#operators, ...(this.autoconn === null ? [] : [this.autoconn])]);
    this.#registry = new GatewayRegistry({ kv: await bus.kv(GATEWAYS_BUCKET), clock });
    this.#subscriptions.push(this.#registry.onChange(() => this.#term?.check()));
    // Before the lease, because a leader must know which gateways to wait for.
    await this.#registry.start();
    const kv = await bus.kv(LEASES_BUCKET);
    const { volconfLeaseTtl: ttlMs } = settings;
    this.#lease = new Lease({ role: VOLCONF_ROLE, address: address(), ttlMs }, { kv, clock, random });
    const { id } = this.#lease;
    this.#sign = new SignOfLife(() => ({ kind: 'volconf', id, name: address() }), { bus, clock });
    this.#sign.start();
    this.#subscriptions.push(
      this.#lease.onChange((state) => {
        this.#leaseChanged(state);
        this.#forwarder.leaderChanged();
      }),
    );
    this.#lease.start();
  }

  /** Releases the lease, so that another replica leads at once and adopts the connections. */
  async stop(): Promise<void> {
    this.#sign?.stop();
    this.#endTerm();
    await this.#lease?.stop();
    this.#endTerm();
    this.#forwarder.stop();
    await this.#registry?.stop();
    this.#operators?.stop();
    this.autoconn?.stop();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions = [];
  }

  #leaseChanged(state: LeaseState): void {
    switch (state.kind) {
      case 'leading':
        this.#leadingSince ??= this.#deps.clock.now();
        if (this.#term?.epoch !== state.epoch) this.#beginTerm(state.epoch);
        else this.#term.check();
        break;
      case 'frozen':
        // While the lease is not valid nothing is ordered, and all reports are still processed (architecture.md,
        // "Lease").
        this.#leadingSince = null;
        break;
      default:
        this.#leadingSince = null;
        this.#endTerm();
    }
  }

  #beginTerm(epoch: number): void {
    this.#endTerm();
    const { clock, logger, random, connect = (record: GatewayRecord) => this.#connect(record) } = this.#deps;
    const address = this.#options.address();
    const subject = `volconf at ${address}`;
    const member = { address, epoch, version: VERSION, reason: '', service: 'volconf' };
    const kind = EventKind.EVENT_KIND_LEADER_CHANGED;
    this.#events.tell({ kind, subject, principal: subject, member });
    this.#term = new Term(
      { epoch, settings: this.#options.settings },
      {
        clock,
        logger,
        random,
        throttle: this.#throttle,
        present: () => this.#registry?.gateways() ?? [],
        connect,
        leadingSince: () => (this.leads ? this.#leadingSince : null),
        operators: this.#wanted,
        sink: {
          became: (name, target, was) =>
            tellTarget(this.#events, name, target, {
              was,
              idOf: (gateway) => this.#term?.fleet.idOf(gateway) ?? gateway,
            }),
          slot: (slot, was) => this.#changed(slot.name, slot.target!, was),
          slotGone: (slot) => this.#removed(slot.name),
          operator: (name, target, was) => this.#changed(name, target, was),
          operatorGone: (name) => this.#removed(name),
          staleEpoch: (heard) => this.#staleEpoch(heard),
        },
      },
    );
    this.#term.start();
  }

  #connect(record: GatewayRecord): GatewayPort | null {
    const { security = PLAINTEXT, gatewayAddress = ({ serviceAddress }: GatewayRecord) => serviceAddress } = this.#deps;
    const address = gatewayAddress(record);
    const { tracing } = this.#deps;
    return address === '' ? null : new GrpcGatewayPort(address, meetingGateway(security, record.name), { tracing });
  }

  #endTerm(): void {
    if (this.#term === null) return;
    this.#past = this.totals();
    this.#term.close();
    this.#term = null;
    this.api.endWatches();
  }

  #operatorChanged(name: string): void {
    if (name === '') this.#term?.check();
    else this.#term?.operatorChanged(name);
  }

  #changed(name: string, target: Target, was: TargetState['kind'] | null): void {
    this.api.changed(name);
    const isVisible = was === null || visible(was) !== visible(target.state.kind);
    if (isVisible || target.state.kind === 'waiting') {
      this.#publish(name, target);
    }
  }

  #removed(name: string): void {
    this.api.changed(name);
    this.#publish(name, null);
  }

  #publish(name: string, target: Target | null): void {
    const { bus, clock } = this.#deps;
    publishTarget(bus, name, target, {
      wall: clock.wall(),
      idOf: (gateway) => this.#term?.fleet.idOf(gateway) ?? gateway,
    });
  }

  /**
   * A gateway has heard of a later leader: either the store was wiped, or another replica leads (the lease will show).
   */
  #staleEpoch(heard: number): void {
    if (this.#lease === null || heard < this.epoch) return;
    this.#lease.raiseEpoch(heard + 1).catch((err: unknown) => {
      const { log, suppressed } = this.#throttle.admit('raise epoch');
      if (log) this.#deps.logger.warn({ err, heard, suppressed }, 'a gateway speaks of an epoch that cannot be');
    });
  }
}

export function createVolconf(options: VolconfOptions, deps: VolconfDeps): Volconf {
  return new Volconf(options, deps);
}
