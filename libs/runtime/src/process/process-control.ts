import { hostname } from 'node:os';
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type InspectRequest,
  InspectResponse,
  type ListProcessesRequest,
  type ListProcessesResponse,
  ProcessInfo,
  type ProcessServer,
  ProcessService,
  SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import {
  type OrderLogLevelRequest,
  type OrderLogLevelResponse,
  type ProcessOrdersServer,
  ProcessOrdersService,
} from '@spanmesh/proto/v1/process_orders';
import { USER_HEADER } from '../access/gate.ts';
import type { Bus } from '../bus/bus.ts';
import type { BucketCopies } from '../bus/nats/nats-copies.ts';
import type { NatsLink } from '../bus/nats/nats-link.ts';
import type { Clock } from '../clock.ts';
import { ApiError, invalid } from '../grpc/api-error.ts';
import { PROTOCOL_VERSION } from '../grpc/protocol-version.ts';
import { LogLevelControl } from '../log/log-level-control.ts';
import type { LogLevel } from '../log/log-levels.ts';
import type { Logger } from '../log/logger.ts';
import { recentLines } from '../log/recent-lines.ts';
import type { Metrics } from '../metrics.ts';
import { limitsHit } from '../shares/limits-hit.ts';
import { VERSION } from '../version.ts';
import { isCalled, isMeant, type LogLevelOrder, MAX_NAME_CHARS, readLogLevelOrder } from './log-level-order.ts';
import { ORDERING_SERVICES, OrderSender } from './order-sender.ts';
import { ProcessDirectory } from './process-directory.ts';
import type { ProcessPorts } from './process-ports.ts';
import { processReport } from './process-report.ts';

export interface ProcessControlOptions {
  /** `link-gateway`, `topology`, `volconf` or `standalone`. */
  readonly service: string;
  readonly logLevel: LogLevel;
  /** What readSettings has returned for this process; default: its settings are not shown. */
  readonly settings?: object;
}

export interface ProcessControlDependencies {
  readonly bus: Bus;
  /** The link to NATS; null: there is none, and so no other process is known. */
  readonly link: Pick<NatsLink, 'connected' | 'losses' | 'unchangedMs'> | null;
  /** The number of copies of each bucket on NATS. */
  readonly copies?: () => Promise<readonly BucketCopies[]>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The API port gets the service Process, the service port ProcessOrders; neither may have been started. */
  readonly ports: Pick<ProcessPorts, 'api' | 'service' | 'security'>;
  /** Address at which other services reach the service port, `host:port`; default: none. */
  readonly serviceAddress?: () => string;
  /** Readiness: null, or why not. */
  readonly ready: () => string | null;
  /** The services in this process that lead. */
  readonly leads?: () => string[];
  /** The gateway's id, if the process is a gateway. */
  readonly gateway?: () => string;
  /** Number of bad files in the keys directory, if the process is a gateway. */
  readonly keysProblems?: () => number;
  /** Default: no metrics are reported. */
  readonly metrics?: Pick<Metrics, 'text'>;
}

/**
 * The service Process of process.proto, for this process and all others. Others are asked over the bus, and get orders
 * on their service ports: on the bus nobody can tell an operator's order from one that a process has made up.
 */
export class ProcessControl {
  readonly logLevel: LogLevelControl;
  readonly #service: string;
  readonly #deps: ProcessControlDependencies;
  readonly #directory: ProcessDirectory;
  readonly #sender: OrderSender;
  readonly #startedAt: Date;
  readonly #settings: object;
  #inspecting = false;

  constructor({ service, logLevel, settings = {} }: ProcessControlOptions, deps: ProcessControlDependencies) {
    const { bus, clock, logger, ports } = deps;
    this.#service = service;
    this.#settings = settings;
    this.#deps = deps;
    this.#startedAt = new Date(clock.wall());
    this.logLevel = new LogLevelControl({ configured: logLevel }, { logger, clock });
    this.#directory = new ProcessDirectory({
      bus,
      clock,
      self: () => this.info(),
      report: (process) => (isCalled(this.info(), process) ? this.#report() : null),
    });
    this.#sender = new OrderSender({ clock, security: (name) => ports.security.channel(name) });
    ports.api.addService(ProcessService, this.#implementation);
    ports.service.addService(ProcessOrdersService, this.#orders);
  }

  start(): void {
    this.#directory.start();
  }

  stop(): void {
    this.#directory.stop();
    this.logLevel.stop();
  }

  /** The present state of this process. */
  info(): ProcessInfo {
    const { link, ready, leads = () => [], gateway = () => '', keysProblems = () => 0 } = this.#deps;
    const { serviceAddress = () => '' } = this.#deps;
    const { state, level, configured } = this.logLevel;
    const host = hostname();
    return ProcessInfo.fromPartial({
      id: `${this.#service}-${host}-${process.pid}`,
      service: this.#service,
      version: VERSION,
      protocolVersion: PROTOCOL_VERSION,
      host,
      pid: process.pid,
      gateway: gateway(),
      startedAt: this.#startedAt,
      logLevel: level,
      configuredLogLevel: configured,
      ...(state.kind === 'changed' && { logLevelUntil: new Date(state.until), logLevelBy: state.by }),
      notReady: ready() ?? '',
      leads: leads(),
      usesNats: link !== null,
      natsConnected: link?.connected ?? false,
      natsLosses: link?.losses ?? 0,
      keysProblems: keysProblems(),
      natsForSeconds: Math.floor((link?.unchangedMs ?? 0) / 1000),
      serviceAddress: serviceAddress(),
      atLimits: limitsHit.all.map(
        ({ resource, bound, principal, held, limit: value, times, forMs, agoMs, withheld }) => ({
          limit: resource,
          principal,
          times,
          forSeconds: Math.floor(forMs / 1000),
          agoSeconds: Math.floor(agoMs / 1000),
          value,
          held,
          ofAll: bound === 'total',
          withheld,
        }),
      ),
    });
  }

  readonly #implementation: ProcessServer = {
    listProcesses: unary(async (): Promise<ListProcessesResponse> => {
      const { copies = async () => [] } = this.#deps;
      const [processes, natsCopies] = await Promise.all([this.#directory.ask({ alone: this.#isAlone }), copies()]);
      return { processes, answeredBy: this.info().id, alone: this.#isCutOff, natsCopies: [...natsCopies] };
    }),
    setLogLevel: unary(
      (request: SetLogLevelRequest, call): Promise<SetLogLevelResponse> =>
        this.#setLogLevel(request, this.#userOf(call)),
    ),
    inspect: (call) => this.#inspect(call),
  };

  #inspect(call: ServerWritableStream<InspectRequest, InspectResponse>): void {
    const fail = (code: status, details: string) => call.emit('error', new ApiError(code, details));
    if (call.request.process.length > MAX_NAME_CHARS) {
      fail(status.INVALID_ARGUMENT, `A name has at most ${MAX_NAME_CHARS} characters.`);
      return;
    }
    // Only one at a time: each may hold a report of every process in memory.
    if (this.#inspecting) {
      fail(status.RESOURCE_EXHAUSTED, 'All processes are being asked already: try again in a moment.');
      return;
    }
    this.#inspecting = true;
    const take = (report: InspectResponse) => void call.write(report);
    this.#directory
      .inspect(call.request.process, { alone: this.#isAlone, take })
      .then(
        () => {
          if (this.#isCutOff) call.write(InspectResponse.fromPartial({ alone: true }));
          call.end();
        },
        (error: unknown) => fail(status.UNAVAILABLE, `The processes cannot be asked: ${String(error)}`),
      )
      .finally(() => {
        this.#inspecting = false;
      });
  }

  #report(): Promise<InspectResponse> {
    const { metrics = { text: async () => '' } } = this.#deps;
    const sources = { info: () => this.info(), settings: this.#settings, metrics, logLines: () => recentLines.all };
    return processReport(sources);
  }

  async #setLogLevel(request: SetLogLevelRequest, by: string): Promise<SetLogLevelResponse> {
    const order = read(request);
    const self = this.info();
    const known = await this.#directory.ask({ alone: this.#isAlone });
    const others = known.filter((info) => info.id !== self.id && isMeant(info, order));
    const mayOrder = ORDERING_SERVICES.includes(this.#service);
    const { obeyed, unreached } = mayOrder
      ? await this.#sender.send({ order: request, by }, others)
      : { obeyed: [], unreached: others };
    const own = this.#obey(order, by);
    const processes = known.flatMap(({ id }) => [own, ...obeyed].find((one) => one?.id === id) ?? []);
    if (processes.length === 0) throw this.#failure(unreached.length > 0, mayOrder);
    return { processes, alone: this.#isCutOff, unreached: unreached.map(({ id }) => id).sort() };
  }

  #failure(areUnreached: boolean, mayOrder: boolean): ApiError {
    if (areUnreached && !mayOrder) {
      const details = 'A gateway gives no orders about log levels to other processes: call topology or volconf.';
      return new ApiError(status.FAILED_PRECONDITION, details);
    }
    if (areUnreached)
      return new ApiError(status.UNAVAILABLE, 'No process that fits could be reached on its service port.');
    const others = this.#isCutOff ? ' NATS is away: only the process that was called could be asked.' : '';
    return new ApiError(status.NOT_FOUND, `No process that answers fits.${others}`);
  }

  readonly #orders: ProcessOrdersServer = {
    orderLogLevel: unary(async ({ order, by }: OrderLogLevelRequest): Promise<OrderLogLevelResponse> => {
      const ordered = read(SetLogLevelRequest.fromPartial(order ?? {}));
      return { process: this.#obey(ordered, by.slice(0, MAX_NAME_CHARS)) ?? undefined };
    }),
  };

  /** Carries out an order; returns the state of this process after it. null: the order is for others. */
  #obey(order: LogLevelOrder, by: string): ProcessInfo | null {
    if (!isMeant(this.info(), order)) return null;
    if (order.level === null) this.logLevel.reset(by);
    else this.logLevel.change(order.level, { forMs: order.forMs, by });
    return this.info();
  }

  /** Whether there are no others, or they cannot be asked. */
  get #isAlone(): boolean {
    const { link } = this.#deps;
    return link === null || !link.connected;
  }

  get #isCutOff(): boolean {
    const { link } = this.#deps;
    return link !== null && !link.connected;
  }

  #userOf(call: ServerUnaryCall<unknown, unknown>): string {
    const from = call.getPeer().replace(/:\d+$/, '');
    // Without a gate nobody has checked the header.
    const [user] = this.#deps.ports.security.api.userOf === undefined ? [] : call.metadata.get(USER_HEADER);
    return typeof user === 'string' ? `${user} from ${from}` : `somebody from ${from}`;
  }
}

/** @throws ApiError INVALID_ARGUMENT */
function read(request: SetLogLevelRequest): LogLevelOrder {
  const order = readLogLevelOrder(request);
  if (typeof order === 'string') throw invalid(order);
  return order;
}

function unary<Q extends ListProcessesRequest | SetLogLevelRequest | OrderLogLevelRequest, R>(
  answer: (request: Q, call: ServerUnaryCall<Q, R>) => Promise<R>,
) {
  return (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>): void => {
    answer(call.request, call).then(
      (response) => callback(null, response),
      (error: unknown) => {
        if (error instanceof ApiError) callback({ code: error.code, details: error.details });
        else callback({ code: status.UNAVAILABLE, details: `The other processes cannot be asked: ${String(error)}` });
      },
    );
  };
}
