import { hostname } from 'node:os';
import type { Bus } from '../bus/bus.ts';
import { natsPart } from '../bus/nats/nats-bus.ts';
import type { NatsOptions } from '../bus/nats/nats-settings.ts';
import { openBus, type ProcessBus } from '../bus/open-bus.ts';
import { type Clock, systemClock } from '../clock.ts';
import { EventLog } from '../events/event-log.ts';
import { createLogger, type Logger } from '../log/logger.ts';
import { Metrics } from '../metrics.ts';
import { systemRandom } from '../random.ts';
import {
  readSettings,
  type Setting,
  SettingError,
  type SettingSources,
  type SettingValues,
  unknownRead,
} from '../settings/setting.ts';
import type { ServiceName } from '../tls/service-names.ts';
import { Tracing } from '../trace/tracing.ts';
import { ProcessControl } from './process-control.ts';
import { ProcessPorts } from './process-ports.ts';
import type { ProcessOptions } from './process-settings.ts';

export interface ProcessFrameOptions {
  /** The service's name in logs: `link-gateway`, `topology` or `volconf`. */
  readonly service: string;
  /** The service name that the process's certificate must carry. */
  readonly name: ServiceName;
  /** The gateway's name, if the process is a gateway: its certificate must carry this, too. */
  readonly gatewayName?: string;
  readonly settings: ProcessOptions & NatsOptions;
  /** The protocol version that it claims; for tests of versions side by side. */
  readonly protocolVersion?: number | undefined;
  /** Source of OpenTelemetry's variables; default: the process's environment. */
  readonly env?: SettingSources['env'] | undefined;
}

/** What the frame asks of its service. */
export interface FramedService {
  /** Readiness: null, or why not. */
  notReady(): string | null;
  /** The services in it that lead. */
  readonly leads?: () => string[];
  /** Address at which other services reach its service port, `host:port`, once it listens. */
  readonly serviceAddress: () => string;
  /** The gateway's id, if it is a gateway. */
  readonly gateway?: () => string;
  /** Number of bad files in the keys directory, if it is a gateway. */
  readonly keysProblems?: () => number;
  /** Begins the service's work, once the process listens. */
  readonly begin: () => Promise<void>;
  /** Ends the service's work, while the ports are still open. Also called after `begin` has failed half-way. */
  readonly end: () => Promise<void>;
  /**
   * Called with reports of events (event_report.proto, ReportEventsRequest) if there is no NATS; default: they go
   * nowhere.
   */
  readonly report?: (events: Uint8Array) => void;
}

/** The surroundings of a service in its process: the bus, the ports, metrics, events, and the means of inspection. */
export class ProcessFrame {
  readonly bus: Bus;
  readonly clock: Clock = systemClock;
  readonly metrics = new Metrics({ processMetrics: true });
  readonly ports: ProcessPorts;
  /** Events of this process. */
  readonly events: EventLog;
  readonly tracing = new Tracing();

  readonly #options: ProcessFrameOptions;
  readonly #bus: ProcessBus;
  readonly #control: ProcessControl;
  readonly #logger: Logger;
  readonly #service: FramedService;

  /** @throws SettingError: settings contradict each other, or do not secure the ports as they must. */
  constructor(
    options: ProcessFrameOptions,
    { service, logger }: { readonly service: FramedService; readonly logger: Logger },
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#service = service;
    const { settings, name, gatewayName, protocolVersion } = options;
    const { clock, metrics } = this;
    const ready = () => service.notReady();
    this.#bus = openBus({ ...settings, part: natsPart(options.service, settings) }, { logger, metrics });
    this.bus = this.#bus.bus;
    const { link } = this.#bus;
    this.events = new EventLog(
      { reporter: () => service.gateway?.() ?? processId(options.service) },
      {
        bus: reportingBus(this.#bus, service.report),
        isConnected: () => link === null || link.connected,
        clock,
        logger,
        random: systemRandom,
      },
    );
    const { events } = this;
    this.ports = new ProcessPorts(settings, {
      ready,
      metrics,
      logger,
      events,
      ...(protocolVersion !== undefined && { protocolVersion }),
      names: [name],
      gatewayName,
      tracing: this.tracing,
    });
    const { leads, gateway, keysProblems, serviceAddress } = service;
    this.#control = new ProcessControl(
      { service: options.service, logLevel: settings.logLevel, settings },
      {
        ...this.#bus,
        clock,
        logger,
        ports: this.ports,
        ready,
        serviceAddress,
        ...(leads !== undefined && { leads }),
        ...(gateway !== undefined && { gateway }),
        ...(keysProblems !== undefined && { keysProblems }),
        metrics,
      },
    );
  }

  /**
   * Checks NATS, listens, begins the service's work, and answers questions about the process; if any step fails, all is
   * stopped again.
   * @throws SettingError: something is missing, or a port is taken.
   */
  async start(): Promise<void> {
    const { service, env = process.env } = this.#options;
    try {
      await this.tracing.start({ service, env }, { logger: this.#logger });
      await this.#bus.check();
      await this.ports.start();
      await this.#service.begin();
      this.#control.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ends the service's work while its ports are still open, then closes everything. */
  async stop(): Promise<void> {
    this.ports.notServing();
    this.#control.stop();
    await this.#service.end();
    await this.ports.stop();
    this.events.stop();
    await this.bus.close();
    await this.tracing.stop();
  }

  /**
   * Checks that the address given to other services is one at which they reach us. @throws SettingError: it is neither
   * known nor set.
   */
  checkReachable(setting: string, { isSet }: { readonly isSet: boolean }): void {
    const isKnown = this.ports.advertisedServiceAddress !== '' || isSet;
    if (this.#options.settings.natsUrl.length === 0 || isKnown) return;
    const why = 'must be set: the service port listens on all addresses, and others must be told one';
    throw new SettingError(setting, why);
  }
}

/** Where events are published: on NATS, or without it by the service's `report`. */
function reportingBus({ bus, link }: ProcessBus, report: FramedService['report']): Pick<Bus, 'publish'> {
  return link !== null || report === undefined ? bus : { publish: (_subject, events) => report(events) };
}

/** The id of a process as the service `Process` (process.proto) shows it. */
export function processId(service: string): string {
  return `${service}-${hostname()}-${process.pid}`;
}

/** Creates the process that `spanmesh run` runs, with its settings. @throws SettingError */
export function createByName<T extends Readonly<Record<string, Setting<unknown>>>, P>(
  service: string,
  settings: T,
  from: SettingSources,
  make: (options: SettingValues<T>, logger: Logger, env: SettingSources['env']) => P,
): P {
  const options = readSettings(settings, from);
  const logger = createLogger({ level: (options as SettingValues<T> & ProcessOptions).logLevel, service });
  warnOfUnknown(options, logger);
  return make(options, logger, from.env);
}

/**
 * Logs each variable that nothing reads as not used. The process goes on: the environment may have been made for a
 * newer version, from which this installation was rolled back.
 */
export function warnOfUnknown(settings: object, logger: Pick<Logger, 'warn'>): void {
  for (const { variable, meant } of unknownRead(settings)) {
    logger.warn({ variable, ...(meant !== null && { meant }) }, 'this variable is no setting, and is not used');
  }
}
