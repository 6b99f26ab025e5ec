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
import type { ServerSecurity } from './security.ts';

/** Streams that one connection may have open; each costs memory whether used or not. */
const MAX_STREAMS_PER_CONNECTION = 1024;
/** Connections that a port takes unless told otherwise: every gateway of an installation has one to each service. */
const MAX_CONNECTIONS = 8192;
/** Connections of one address: a host may run many services, and a translated network has one address. */
const MAX_CONNECTIONS_PER_ADDRESS = 4096;
/** The same trouble is logged once in this time. */
const LOG_INTERVAL_MS = 10_000;

/**
 * A gRPC server with the standard health service and reflection of what it serves. Without an address (`listen`
 * null, a service switched off) start() resolves with 0 and nothing listens.
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
  /** Open now, and how many were too many. */
  readonly connections: GrpcConnections;
  /** Open calls of the health service, which is open to everybody. */
  readonly publicCalls: OpenCalls;
  readonly #listener = createServer({ noDelay: true });
  readonly #services: string[] = [];
  /** Services that setServing declared not serving. */
  readonly #held = new Set<string>();
  #started = false;

  /**
   * `setting`: the name that a SettingError gives when the port cannot be had. Plaintext, and open to everybody, unless
   * `security` says otherwise; with `protocol` callers must speak a version that fits; with
   * `takesPassedOn` they are believed who has made the calls of the API that they pass on; `refused` is called for each call that its gate refuses; `calls`
   * counts all; `acts` sees the calls that are let in; `events` is told of callers that have too much.
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
    }: {
      listen: HostPort | null;
      setting: string;
      security?: ServerSecurity;
      protocol?: ProtocolRule;
      takesPassedOn?: boolean;
      tracing?: Pick<Tracing, 'tracer'>;
      connections?: ConnectionBounds;
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
    const shareLog = new ShareLog({ logger, throttle: this.#throttle, ...(events && { events }) });
    this.publicCalls = new OpenCalls({ limited: (limit) => shareLog.limited(limit) });
    this.connections = new GrpcConnections(
      { resource: `connections to ${setting}`, bounds: connections },
      { limited: (limit) => shareLog.limited(limit) },
    );
    const gated = { clock, logger, refused, takesPassedOn, ...(userOf && { userOf }) };
    const gates =
      gate !== undefined
        ? [gateInterceptor({ gate, ...gated })]
        : takesPassedOn
          ? [onlyPassedOn(gateInterceptor({ gate: () => null, ...gated }))]
          : [];
    // By default grpc-js writes to stderr by itself. What matters comes back as errors, so this is for debugging.
    const report = (...args: unknown[]): void => logger.debug({ detail: args.join(' ') }, 'grpc-js');
    setLogger({ error: report, info: report, debug: report });
    this.#server = new Server({
      'grpc.max_receive_message_length': MAX_GRPC_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_GRPC_MESSAGE_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.keepalive_time_ms': GRPC_KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': GRPC_KEEPALIVE_TIMEOUT_MS,
      // Not there unless needed: each message of a call passes through.
      interceptors: [
        ...(calls === undefined ? [] : [calls.interceptor]),
        ...(tracing === NO_TRACING ? [] : [traceCalls(tracing)]),
        limitCalls(`/${HEALTH_SERVICE}/`, this.publicCalls),
        ...gates,
        ...(acts === undefined ? [] : [acts]),
        ...(protocol === undefined ? [] : [checkProtocol(protocol)]),
      ],
    });
  }

  /** Before start(). The service is reported as serving once started, unless setServing said otherwise. */
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

  /** The port it listens on. Rejects with SettingError when that cannot be had. */
  async start(): Promise<number> {
    if (this.#listen === null) {
      return 0;
    }
    this.#health.addTo(this.#server);
    const served = [...this.#services, HEALTH_SERVICE];
    new LazyReflection(served).addToServer(this.#server);
    const listen = this.#listen;
    // The library listens by itself, too, but takes whatever comes.
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
    // If the system has no socket for us, none is taken, and nothing ends for it.
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

  /** What the health service answers for one service (its full name, or '' for the whole server). */
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

  /** Health says so of everything from now on; calls are answered as before. For a process that is going to stop. */
  notServing(): void {
    for (const name of ['', ...this.#services]) this.setServing(name, false);
  }

  /** Takes no new calls, lets the open ones end, and cuts the ones still open after `deadlineMs`. */
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
      // The library calls back as soon as nothing new comes in. A connection ends when the last call on it does.
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

/** Nothing is put between other calls and their messages. The library wants its own class, and uses the interface. */
function onlyPassedOn(interceptor: ServerInterceptor): ServerInterceptor {
  return (method, call) => (isPassedOn(method.path) ? interceptor(method, call) : (call as ServerInterceptingCall));
}
