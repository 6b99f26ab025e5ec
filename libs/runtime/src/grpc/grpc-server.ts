import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
  setLogger,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

import { gateInterceptor } from '../access/gate.ts';
import { isPassedOn } from '../access/service-callers.ts';
import type { HostPort } from '../address.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import { ShareLog } from '../shares/share-log.ts';
import { traceCalls } from '../trace/traced-calls.ts';
import { NO_TRACING, type Tracing } from '../trace/tracing.ts';
import type { CallStats } from './call-stats.ts';
import { GRPC_KEEPALIVE_MS, GRPC_KEEPALIVE_TIMEOUT_MS, MAX_GRPC_MESSAGE_BYTES } from './grpc-channel.ts';
import { type ConnectionBounds, GrpcConnections } from './grpc-connections.ts';
import { guardedService } from './guarded-service.ts';
import { HEALTH_SERVICE, HealthService } from './health-service.ts';
import { LazyReflection } from './lazy-reflection.ts';
import { listenError } from './listen-error.ts';
import { limitCalls, OpenCalls } from './open-calls.ts';
import { checkProtocol } from './protocol-interceptors.ts';
import type { ProtocolRule } from './protocol-version.ts';
import { paceRequests, RequestPace } from './request-pace.ts';
import type { ServerSecurity } from './security.ts';

/** Most streams that one connection may have open; each costs memory even if it is idle. */
const MAX_STREAMS_PER_CONNECTION = 1024;
/** Connections that a port takes by default: every gateway of an installation has one to each service. */
const MAX_CONNECTIONS = 8192;
/** Connections of one address: a host may run many services, and all hosts behind NAT share an address. */
const MAX_CONNECTIONS_PER_ADDRESS = 4096;
/** The same trouble is logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/**
 * A gRPC server with the standard health service and reflection of its services. Without an address (`listen` null: the
 * port is switched off) start() resolves with 0 and nothing listens.
 */
export class GrpcServer {
  readonly #listen: HostPort | null;
  readonly #setting: string;
  readonly #credentials: ServerCredentials;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #throttle: Throttle;
  readonly #server: Server;
  readonly #health = new HealthService();
  /** The open connections, and how many were too many. */
  readonly connections: GrpcConnections;
  /** Open calls of the health service, which is open to everybody. */
  readonly publicCalls: OpenCalls;
  readonly #listener = createServer({ noDelay: true });
  readonly #services: string[] = [];
  /** Services that setServing has declared as not serving. */
  readonly #held = new Set<string>();
  #started = false;

  /**
   * `setting`: the setting that a SettingError names when the port is not available. Without `security` there is no TLS
   * and no check of callers. With `protocol`, callers must speak a compatible version. With `takesPassedOn`, callers
   * are believed when they say for whom they pass a call on. A message of a caller that is longer than
   * `maxRequestBytes` ends its call. With `isPaced`, users who send many bytes are read later. `refused` is called for
   * each call that the gate refuses; `calls` counts all calls; `acts` sees the calls that are let in; `events` is told
   * of callers at a limit.
   */
  constructor(
    {
      listen,
      setting,
      security = {},
      protocol,
      takesPassedOn = false,
      tracing = NO_TRACING,
      connections = { total: MAX_CONNECTIONS, share: MAX_CONNECTIONS_PER_ADDRESS },
      maxRequestBytes = MAX_GRPC_MESSAGE_BYTES,
      isPaced = false,
    }: {
      listen: HostPort | null;
      setting: string;
      security?: ServerSecurity;
      protocol?: ProtocolRule;
      takesPassedOn?: boolean;
      tracing?: Pick<Tracing, 'tracer'>;
      connections?: ConnectionBounds;
      maxRequestBytes?: number;
      isPaced?: boolean;
    },
    {
      logger,
      clock = systemClock,
      refused = () => {},
      calls,
      events,
      acts,
    }: {
      logger: Logger;
      clock?: Clock;
      refused?: () => void;
      calls?: CallStats;
      events?: EventTeller;
      acts?: ServerInterceptor;
    },
  ) {
    const { credentials = ServerCredentials.createInsecure(), gate, userOf } = security;
    this.#listen = listen;
    this.#setting = setting;
    this.#credentials = credentials;
    this.#logger = logger;
    this.#clock = clock;
    this.#health.set('', 'NOT_SERVING');
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const shareLog = new ShareLog({ clock, logger, throttle: this.#throttle, ...(events && { events }) });
    this.publicCalls = new OpenCalls({ limited: (limit) => shareLog.limited(limit) });
    this.connections = new GrpcConnections(
      { resource: `connections to ${setting}`, bounds: connections },
      { limited: (limit) => shareLog.limited(limit) },
    );
    const pace = new RequestPace({ clock, limited: (limit) => shareLog.limited(limit) });
    const gated = { clock, logger, refused, takesPassedOn, ...(userOf && { userOf }) };
    const gates =
      gate !== undefined
        ? [gateInterceptor({ gate, ...gated })]
        : takesPassedOn
          ? [onlyPassedOn(gateInterceptor({ gate: () => null, ...gated }))]
          : [];
    // By default grpc-js writes to stderr itself. Important faults are returned as errors, so its messages are logged
    // at debug.
    const report = (...args: unknown[]): void => logger.debug({ detail: args.join(' ') }, 'grpc-js');
    setLogger({ error: report, info: report, debug: report });
    this.#server = new Server({
      'grpc.max_receive_message_length': maxRequestBytes,
      'grpc.max_send_message_length': MAX_GRPC_MESSAGE_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.keepalive_time_ms': GRPC_KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': GRPC_KEEPALIVE_TIMEOUT_MS,
      // Each message of a call passes through an interceptor, so they are left out unless needed.
      interceptors: [
        ...(calls === undefined ? [] : [calls.interceptor]),
        ...(tracing === NO_TRACING ? [] : [traceCalls(tracing)]),
        limitCalls(`/${HEALTH_SERVICE}/`, this.publicCalls),
        ...gates,
        ...(isPaced ? [paceRequests(pace)] : []),
        ...(acts === undefined ? [] : [acts]),
        ...(protocol === undefined ? [] : [checkProtocol(protocol)]),
      ],
    });
  }

  /**
   * Adds a service before start(). It is reported as serving once the server has started, unless setServing said
   * otherwise.
   */
  addService(definition: ServiceDefinition, implementation: object): this {
    const guarded = guardedService(definition, implementation as UntypedServiceImplementation, (err, method, what) => {
      const { log, suppressed } = this.#throttle.admit(`${method} ${what}`);
      if (log) this.#logger.error({ err, method, what, suppressed }, 'a message has cost its stream');
    });
    this.#server.addService(guarded.definition, guarded.implementation);
    const path = Object.values(definition)[0]?.path;
    if (path !== undefined) {
      const [, name = ''] = path.split('/');
      this.#services.push(name);
      this.#health.set(name, 'NOT_SERVING');
    }
    return this;
  }

  /** Starts to listen; resolves with the port. Rejects with SettingError when the port is not available. */
  async start(): Promise<number> {
    if (this.#listen === null) {
      return 0;
    }
    this.#health.addTo(this.#server);
    const served = [...this.#services, HEALTH_SERVICE];
    new LazyReflection(served).addToServer(this.#server);
    const listen = this.#listen;
    // The library could listen itself, but then it would take any number of connections.
    const injector = this.#server.createConnectionInjector(this.#credentials);
    this.#listener.on('connection', (socket) => {
      if (this.connections.admit(socket)) injector.injectConnection(socket);
    });
    this.#listener.listen({ host: listen.host, port: listen.port });
    try {
      await once(this.#listener, 'listening');
    } catch (error) {
      throw listenError(this.#setting, listen, error as Error);
    }
    const { port } = this.#listener.address() as AddressInfo;
    // When the system has no socket left, the connection is not accepted; the others go on.
    this.#listener.on('error', (err) => {
      const { log, suppressed } = this.#throttle.admit('accept');
      if (log) this.#logger.error({ err, setting: this.#setting, suppressed }, 'a connection could not be taken');
    });
    this.#started = true;
    this.#health.set('', 'SERVING');
    for (const name of this.#services) {
      this.#health.set(name, this.#held.has(name) ? 'NOT_SERVING' : 'SERVING');
    }
    return port;
  }

  /** Sets the answer of the health service for one service (its full name, or '' for the whole server). */
  setServing(serviceName: string, serving: boolean): void {
    if (serving) {
      this.#held.delete(serviceName);
    } else {
      this.#held.add(serviceName);
    }
    if (this.#started) {
      this.#health.set(serviceName, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  /**
   * From now on the health service answers NOT_SERVING for everything; calls are answered as before. For a process that
   * is about to stop.
   */
  notServing(): void {
    for (const name of ['', ...this.#services]) this.setServing(name, false);
  }

  /** Takes no new calls, lets open ones end, and cancels those still open after `deadlineMs`. */
  async stop(deadlineMs: number): Promise<void> {
    if (!this.#started) {
      return;
    }
    this.notServing();
    this.#started = false;
    this.#listener.close();
    await new Promise<void>((resolve) => {
      const deadline = this.#clock.after(deadlineMs, () => {
        this.#logger.warn({ deadlineMs }, 'gRPC calls still open at the deadline are cut');
        this.#server.forceShutdown();
        resolve();
      });
      // The library calls back as soon as it takes nothing new. A connection ends with its last call.
      this.#server.tryShutdown(() =>
        this.connections.whenNone(() => {
          deadline.cancel();
          resolve();
        }),
      );
    });
    this.connections.end();
  }
}

/**
 * Lets an interceptor see only calls that can be passed on; for others nothing is put between them and their messages.
 * The library's type asks for its own class, but it uses only the interface.
 */
function onlyPassedOn(interceptor: ServerInterceptor): ServerInterceptor {
  return (method, call) => (isPassedOn(method.path) ? interceptor(method, call) : (call as ServerInterceptingCall));
}
