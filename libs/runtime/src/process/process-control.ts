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
  type SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import { USER_HEADER } from '../access/gate.ts';
import type { Bus } from '../bus/bus.ts';
import type { BucketCopies } from '../bus/nats/nats-copies.ts';
import type { NatsLink } from '../bus/nats/nats-link.ts';
import type { Clock } from '../clock.ts';
import { PROTOCOL_VERSION } from '../grpc/protocol-version.ts';
import { DEFAULT_LOG_LEVEL_MS, LogLevelControl, MAX_LOG_LEVEL_MS } from '../log/log-level-control.ts';
import { LOG_LEVELS, type LogLevel } from '../log/log-levels.ts';
import type { Logger } from '../log/logger.ts';
import { recentLines } from '../log/recent-lines.ts';
import type { Metrics } from '../metrics.ts';
import { VERSION } from '../version.ts';
import { type LogLevelOrder, ProcessDirectory } from './process-directory.ts';
import type { ProcessPorts } from './process-ports.ts';
import { processReport } from './process-report.ts';

/** Longest name of a service or a process that is looked for, characters. */
const MAX_NAME_CHARS = 300;

export interface ProcessControlOptions {
  /** `link-gateway`, `topology`, `volconf` or `standalone`. */
  readonly service: string;
  readonly logLevel: LogLevel;
  /** What readSettings has returned for this process; default: nothing is known of its settings. */
  readonly settings?: object;
}

export interface ProcessControlDependencies {
  readonly bus: Bus;
  /** The way to NATS; null: there is none, and so nobody else. */
  readonly link: Pick<NatsLink, 'connected' | 'losses' | 'unchangedMs'> | null;
  /** In how many copies NATS keeps what is stored. */
  readonly copies?: () => Promise<readonly BucketCopies[]>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Its API port gets the service; must not have been started. */
  readonly ports: Pick<ProcessPorts, 'api' | 'security'>;
  /** null: ready, otherwise why not. */
  readonly ready: () => string | null;
  /** What this process leads now. */
  readonly leads?: () => string[];
  /** Of a gateway its id. */
  readonly gateway?: () => string;
  /** Of a gateway: files of its keys directory that something is wrong with. */
  readonly keysProblems?: () => number;
  /** Default: it has none. */
  readonly metrics?: Pick<Metrics, 'text'>;
}

/** A call that fails. */
class CallError extends Error {
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** The service Process of process.proto: this process, and through the bus all others. */
export class ProcessControl {
  readonly logLevel: LogLevelControl;
  readonly #service: string;
  readonly #deps: ProcessControlDependencies;
  readonly #directory: ProcessDirectory;
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
      obey: (order) => this.#obey(order),
      report: (process) => (this.#isCalled(process) ? this.#report() : null),
    });
    ports.api.addService(ProcessService, this.#implementation);
  }

  start(): void {
    this.#directory.start();
  }

  stop(): void {
    this.#directory.stop();
    this.logLevel.stop();
  }

  /** This process as it is now. */
  info(): ProcessInfo {
    const { link, ready, leads = () => [], gateway = () => '', keysProblems = () => 0 } = this.#deps;
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
    });
  }

  readonly #implementation: ProcessServer = {
    listProcesses: unary(async (): Promise<ListProcessesResponse> => {
      const { copies = async () => [] } = this.#deps;
      const [processes, natsCopies] = await Promise.all([
        this.#directory.ask(null, { alone: this.#isAlone }),
        copies(),
      ]);
      return { processes, answeredBy: this.info().id, alone: this.#isCutOff, natsCopies: [...natsCopies] };
    }),
    setLogLevel: unary(
      (request: SetLogLevelRequest, call): Promise<SetLogLevelResponse> =>
        this.#setLogLevel(request, this.#userOf(call)),
    ),
    inspect: (call) => this.#inspect(call),
  };

  #inspect(call: ServerWritableStream<InspectRequest, InspectResponse>): void {
    const fail = (code: status, details: string) => call.emit('error', new CallError(code, details));
    if (call.request.process.length > MAX_NAME_CHARS) {
      fail(status.INVALID_ARGUMENT, `A name has at most ${MAX_NAME_CHARS} characters.`);
      return;
    }
    // Each may hold a report of every process.
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
    const { level, service, process, durationMs } = request;
    const isLevel = level === '' || (LOG_LEVELS as readonly string[]).includes(level);
    if (!isLevel)
      throw new CallError(status.INVALID_ARGUMENT, `There is no level like this: ${LOG_LEVELS.join(', ')}.`);
    if (durationMs > MAX_LOG_LEVEL_MS) {
      const hours = MAX_LOG_LEVEL_MS / 3_600_000;
      const details = `A level lasts ${hours} hours at most: what is meant to stay belongs into SPANMESH_LOG_LEVEL.`;
      throw new CallError(status.INVALID_ARGUMENT, details);
    }
    if (service.length > MAX_NAME_CHARS || process.length > MAX_NAME_CHARS) {
      throw new CallError(status.INVALID_ARGUMENT, `A name has at most ${MAX_NAME_CHARS} characters.`);
    }
    const order: LogLevelOrder = {
      level: level === '' ? null : (level as LogLevel),
      forMs: durationMs || DEFAULT_LOG_LEVEL_MS,
      by,
      service,
      process,
    };
    const processes = await this.#directory.ask(order, { alone: this.#isAlone });
    if (processes.length === 0) {
      const others = this.#isCutOff ? ' NATS is away: only the process that was called could be asked.' : '';
      throw new CallError(status.NOT_FOUND, `No process that answers fits.${others}`);
    }
    return { processes, alone: this.#isCutOff };
  }

  #obey({ level, forMs, by, service, process }: LogLevelOrder): boolean {
    if (service !== '' && service !== this.#service) return false;
    if (!this.#isCalled(process)) return false;
    if (level === null) this.logLevel.reset(by);
    else this.logLevel.change(level, { forMs, by });
    return true;
  }

  /** Whether a text names this process, or, empty, all. */
  #isCalled(text: string): boolean {
    const { id, gateway, host } = this.info();
    return text === '' || [id, host, gateway, gateway.replace(/\.[^.]*$/, '')].includes(text);
  }

  /** There are no others, or they cannot be asked. */
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
    // Without a gate nobody has looked at what the header says.
    const [user] = this.#deps.ports.security.api.userOf === undefined ? [] : call.metadata.get(USER_HEADER);
    return typeof user === 'string' ? `${user} from ${from}` : `somebody from ${from}`;
  }
}

function unary<Q extends ListProcessesRequest | SetLogLevelRequest, R>(
  answer: (request: Q, call: ServerUnaryCall<Q, R>) => Promise<R>,
) {
  return (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>): void => {
    answer(call.request, call).then(
      (response) => callback(null, response),
      (error: unknown) => {
        if (error instanceof CallError) callback({ code: error.code, details: error.details });
        else callback({ code: status.UNAVAILABLE, details: `The other processes cannot be asked: ${String(error)}` });
      },
    );
  };
}
