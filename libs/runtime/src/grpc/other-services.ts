import {
  Metadata,
  type MethodDefinition,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { EventsService } from '@spanmesh/proto/v1/events';
import { MessagingService } from '@spanmesh/proto/v1/messaging';
import { TopologyService } from '@spanmesh/proto/v1/topology';
import { VolconfService } from '@spanmesh/proto/v1/volconf';
import type { Clock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';
import { ShareLog } from '../shares/share-log.ts';
import type { ChannelSecurity } from '../tls/tls-credentials.ts';
import { answeredBy, REPLICA_HEADER } from './forwarder.ts';
import type { GrpcServer } from './grpc-server.ts';
import { type Destination, PassedCalls } from './passed-calls.ts';

/** The same principal is logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/** A service that another process answers, its leader. */
export interface LedElsewhere {
  /** `host:port` of the leader's service port; null: no leader is known. */
  readonly address: () => string | null;
  readonly security: ChannelSecurity;
}

/** A gateway to which calls can be passed on. */
export interface GatewayAddress {
  /** `<name>.<boot>`, or another text that identifies it. */
  readonly id: string;
  readonly name: string;
  /** `host:port` of its service port. */
  readonly address: string;
}

/** The gateways, any of which can answer. */
export interface GatewaysElsewhere {
  /** Gateways to which calls can be passed on. */
  readonly all: () => Iterable<GatewayAddress>;
  /** The credentials and options for a connection to the gateway of this name. */
  readonly security: (name: string) => ChannelSecurity;
}

export interface OtherServicesOptions {
  /** Left out: this process answers for topology itself. */
  readonly topology?: LedElsewhere;
  readonly volconf?: LedElsewhere;
  readonly messaging?: GatewaysElsewhere;
}

/**
 * The services of the API that other processes answer. This process serves them all the same, and passes each call on
 * with its messages unchanged. The process that answers checks whether the caller may make the call
 * (access/passed-on-caller.ts).
 */
export class OtherServices {
  readonly #calls: ReadonlyMap<string, PassedCalls>;
  readonly #led: readonly (readonly [PassedCalls, LedElsewhere])[];
  readonly #choose: Chosen | null;

  /** Adds the services to a server that has not been started. */
  constructor(
    { topology, volconf, messaging }: OtherServicesOptions,
    {
      server,
      metrics,
      logger,
      clock,
      events,
      random = Math.random,
    }: {
      readonly server: Pick<GrpcServer, 'addService'>;
      readonly metrics: Metrics;
      readonly logger: Logger;
      readonly clock: Clock;
      /** Where callers at a limit are reported; default: nowhere. */
      readonly events?: EventTeller;
      /** Uniform in [0, 1). */
      readonly random?: () => number;
    },
  ) {
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const shareLog = new ShareLog({ clock, logger, throttle, ...(events && { events }) });
    const calls = new Map<string, PassedCalls>();
    const led: (readonly [PassedCalls, LedElsewhere])[] = [];
    const add = (name: string, definition: ServiceDefinition, find: () => Destination | null, nobody: string) => {
      const passed = new PassedCalls({}, { limited: (limit) => shareLog.limited(limit) });
      calls.set(name, passed);
      const served = passingService(definition, passed, find, nobody);
      server.addService(served.definition, served.implementation);
      return passed;
    };
    const addLed = (name: string, definition: ServiceDefinition, where: LedElsewhere): void => {
      const nobody = `No ${name} replica is known to lead at the moment: try again.`;
      led.push([add(name, definition, () => leaderOf(name, where), nobody), where]);
    };
    if (topology !== undefined) {
      addLed('topology', TopologyService, topology);
      const nobody = 'No topology replica, which has the events, is known to lead at the moment: try again.';
      led.push([add('events', EventsService, () => leaderOf('topology', topology), nobody), topology]);
    }
    if (volconf !== undefined) addLed('volconf', VolconfService, volconf);
    this.#choose = messaging === undefined ? null : new Chosen(messaging, random);
    if (this.#choose !== null) {
      const choose = this.#choose;
      add('messaging', MessagingService, () => choose.gateway(), 'No link-gateway is known at the moment: try again.');
    }
    this.#calls = calls;
    this.#led = led;
    metrics.counter(
      'spanmesh_calls_passed_on_total',
      'Calls of the API that were passed on to a process of another service.',
      () => this.#each(({ passed }) => passed),
      'service',
    );
    metrics.gauge(
      'spanmesh_calls_passed_on',
      'Calls of the API that a process of another service is answering.',
      () => this.#each(({ size }) => size),
      'service',
    );
    metrics.counter(
      'spanmesh_calls_passed_on_limits_total',
      'Calls of the API that were not passed on, or ended, because there were too many.',
      () => this.#each(({ limits }) => limits),
      'service',
    );
  }

  /** To be called when the leader may have changed: calls that wait for the one before end with a sentence about it. */
  leaderChanged(): void {
    for (const [calls, { address }] of this.#led) calls.abortOthers(address(), 'The leader has changed: call again.');
  }

  stop(): void {
    for (const calls of this.#calls.values()) calls.stop();
  }

  #each(count: (calls: PassedCalls) => number): Record<string, number> {
    return Object.fromEntries([...this.#calls].map(([name, calls]) => [name, count(calls)]));
  }
}

/**
 * One gateway for all clients of this process, the same for as long as it is there, because a handle is known only to
 * the gateway that gave it.
 */
class Chosen {
  readonly #gateways: GatewaysElsewhere;
  readonly #random: () => number;
  #id = '';

  constructor(gateways: GatewaysElsewhere, random: () => number) {
    this.#gateways = gateways;
    this.#random = random;
  }

  gateway(): Destination | null {
    const all = [...this.#gateways.all()];
    const chosen = all.find(({ id }) => id === this.#id) ?? all[Math.floor(this.#random() * all.length)];
    if (chosen === undefined) return null;
    this.#id = chosen.id;
    const headers = new Metadata();
    headers.set(REPLICA_HEADER, chosen.address);
    const { name, address } = chosen;
    return { address, security: this.#gateways.security(name), what: `gateway ${name}`, headers };
  }
}

function leaderOf(name: string, { address: find, security }: LedElsewhere): Destination | null {
  const address = find();
  if (address === null) return null;
  return { address, security, what: `${name} leader`, headers: answeredBy({ address, role: 'leader', lagMs: 0 }) };
}

/** A service of which no call is answered here. Its messages are not decoded. */
function passingService(
  definition: ServiceDefinition,
  calls: PassedCalls,
  find: () => Destination | null,
  nobody: string,
): { definition: ServiceDefinition; implementation: Record<string, unknown> } {
  const methods: Record<string, MethodDefinition<unknown, unknown>> = {};
  const implementation: Record<string, unknown> = {};
  const wrap = asItIs;
  const unavailable = { code: status.UNAVAILABLE, details: nobody };
  for (const [name, method] of Object.entries(definition)) {
    methods[name] = { ...method, requestDeserialize: asItIs, responseSerialize: (bytes) => bytes as Buffer };
    if (method.requestStream) {
      implementation[name] = (call: ServerDuplexStream<unknown, unknown>) => {
        const to = find();
        if (to === null) call.emit('error', Object.assign(new Error(nobody), unavailable));
        else calls.duplex(method, call, { to, wrap });
      };
    } else if (method.responseStream) {
      implementation[name] = (call: ServerWritableStream<unknown, unknown>) => {
        const to = find();
        if (to === null) call.emit('error', Object.assign(new Error(nobody), unavailable));
        else calls.stream(method, call, { to, request: call.request as Buffer, wrap });
      };
    } else {
      implementation[name] = (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
        const to = find();
        if (to === null) callback(unavailable);
        else calls.unary(method, call, callback, { to, request: call.request as Buffer, wrap });
      };
    }
  }
  return { definition: methods, implementation };
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}
