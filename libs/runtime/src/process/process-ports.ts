import { operatorActs } from '../access/operator-acts.ts';
import { formatHostPort, type HostPort } from '../address.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type EventTeller, NO_EVENTS } from '../events/event-teller.ts';
import { CallStats } from '../grpc/call-stats.ts';
import { MAX_API_REQUEST_BYTES } from '../grpc/grpc-channel.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { ProtocolRule } from '../grpc/protocol-version.ts';
import { Security } from '../grpc/security.ts';
import { type Logger, registerLogMetrics } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';
import type { ServiceName } from '../tls/service-names.ts';
import { NO_TRACING, type Tracing } from '../trace/tracing.ts';
import { registerBuildInfo } from './build-info.ts';
import { HttpServer } from './http-server.ts';
import type { ProcessOptions } from './process-settings.ts';
import type { Service } from './service.ts';

/** How long open calls are given to end when the process stops, ms. */
const DRAIN_MS = 500;

export interface ProcessPortsDependencies {
  /** Readiness: null, or why not. */
  readonly ready: () => string | null;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Where acts of operators, changed files and callers at a limit are reported; default: nowhere. */
  readonly events?: EventTeller;
  /** The services that run in the process, which its certificate must name. */
  readonly names?: readonly ServiceName[];
  /** The name of the gateway in the process, which its certificate must name, too. */
  readonly gatewayName?: string | undefined;
  readonly clock?: Clock;
  /** The protocol version that this process claims; only tests set another than its own. */
  readonly protocolVersion?: number;
  /** The tracer of calls, and the counts of traces; default: no traces. */
  readonly tracing?: Pick<Tracing, 'tracer' | 'counts'>;
}

/**
 * The ports of a process, whatever services run in it: the API for users; the service port for other services of the
 * installation (never for users); and HTTP for probes and scrapes.
 */
export class ProcessPorts implements Service {
  /** Services must be added before `start`. */
  readonly api: GrpcServer;
  readonly service: GrpcServer;
  /** Who may connect, and how this process identifies itself to other services. */
  readonly security: Security;
  /** Which versions of the protocol are compatible. */
  readonly protocol: ProtocolRule;
  /** Port of the API; set by `start`. */
  apiPort = 0;
  servicePort = 0;
  httpPort = 0;

  readonly #options: ProcessOptions;
  readonly #http: HttpServer;

  /** @throws SettingError: a port cannot be secured as it must be (security.ts). */
  constructor(
    options: ProcessOptions,
    {
      ready,
      metrics,
      logger,
      events = NO_EVENTS,
      names = [],
      gatewayName: gateway,
      clock = systemClock,
      protocolVersion,
      tracing = NO_TRACING,
    }: ProcessPortsDependencies,
  ) {
    this.#options = options;
    const { grpcListen, serviceListen, httpListen } = options;
    this.security = new Security(
      options,
      { names, gateway, listen: options, protocolVersion },
      { clock, logger, metrics, events },
    );
    this.protocol = new ProtocolRule(
      { ...(protocolVersion !== undefined && { own: protocolVersion }) },
      { logger, clock },
    );
    this.protocol.register(metrics);
    registerLogMetrics(metrics);
    tracing.counts.register(metrics);
    const { api, service, refused, asksForUsers, consoleKey } = this.security;
    const { protocol } = this;
    const calls = new CallStats({ clock });
    calls.register(metrics);
    registerBuildInfo(metrics);
    const { maxApiConnections } = options;
    const connections = { total: maxApiConnections, share: maxApiConnections >> 1 };
    this.api = new GrpcServer(
      {
        listen: grpcListen,
        setting: 'SPANMESH_GRPC_LISTEN',
        security: api,
        connections,
        maxRequestBytes: MAX_API_REQUEST_BYTES,
        isPaced: true,
        tracing,
      },
      {
        logger,
        clock,
        refused: () => refused.api++,
        calls,
        events,
        acts: operatorActs({ events, asksForUsers, consoleKey }),
      },
    );
    this.service = new GrpcServer(
      {
        listen: serviceListen,
        setting: 'SPANMESH_SERVICE_LISTEN',
        security: service,
        protocol,
        takesPassedOn: true,
        tracing,
      },
      { logger, clock, refused: () => refused.service++, calls, events },
    );
    const ports = { api: this.api.connections, service: this.service.connections };
    metrics.gauge(
      'spanmesh_grpc_connections',
      'Open gRPC connections.',
      () => ({ api: ports.api.size, service: ports.service.size }),
      'port',
    );
    metrics.counter(
      'spanmesh_grpc_connections_refused_total',
      'gRPC connections refused, or ended for others, because their address had too many.',
      () => ({ api: ports.api.refused, service: ports.service.refused }),
      'port',
    );
    metrics.counter(
      'spanmesh_public_calls_refused_total',
      'Calls of the health service refused, or ended, because too many were open.',
      () => ({ api: this.api.publicCalls.refused, service: this.service.publicCalls.refused }),
      'port',
    );
    this.#http = new HttpServer(
      { listen: httpListen, setting: 'SPANMESH_HTTP_LISTEN' },
      { ready, metrics, logger, clock, events },
    );
  }

  /**
   * Starts to listen, on HTTP first, so that probes are answered. @throws SettingError: a port is taken; then none
   * stays open.
   */
  async start(): Promise<void> {
    try {
      this.security.start();
      this.httpPort = await this.#http.start();
      this.servicePort = await this.service.start();
      this.apiPort = await this.api.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** The process is about to stop: from now on gRPC health answers NOT_SERVING. (HTTP asks `ready`.) */
  notServing(): void {
    this.api.notServing();
    this.service.notServing();
  }

  async stop(): Promise<void> {
    await Promise.all([this.api.stop(DRAIN_MS), this.service.stop(DRAIN_MS)]);
    await this.#http.stop();
    await this.security.stop();
  }

  /** Every port on which the process listens. */
  get all(): number[] {
    return [this.apiPort, this.servicePort, this.httpPort].filter((port) => port !== 0);
  }

  /** Address of the API, as this process reaches it, `host:port`. */
  get apiAddress(): string {
    return reached(this.#options.grpcListen, this.apiPort);
  }

  /** Address of the service port, as this process reaches it. */
  get serviceAddress(): string {
    return reached(this.#options.serviceListen, this.servicePort);
  }

  /** Address of the service port, as others reach it, if it is known: empty if the process listens on all addresses. */
  get advertisedServiceAddress(): string {
    return isWildcard(this.#options.serviceListen) ? '' : this.serviceAddress;
  }
}

function isWildcard({ host }: HostPort): boolean {
  return host === '0.0.0.0' || host === '::';
}

function reached(listen: HostPort, port: number): string {
  const { host } = listen;
  return formatHostPort({ host: isWildcard(listen) ? (host === '::' ? '::1' : '127.0.0.1') : host, port });
}
