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
  /** As in logs: `link-gateway`, `topology` or `volconf`. */
  readonly service: string;
  /** What the process's certificate must name. */
  readonly name: ServiceName;
  /** The name of the gateway that it is: the same. */
  readonly gatewayName?: string;
  readonly settings: ProcessOptions & NatsOptions;
  /** The version of the protocol that it says it speaks; for tests of versions side by side. */
  readonly protocolVersion?: number | undefined;
  /** Where OpenTelemetry's variables are read from; default: the process's. */
  readonly env?: SettingSources['env'] | undefined;
}

/** What the frame asks of the service in it. */
export interface FramedService {
  /** null: ready, otherwise why not. */
  notReady(): string | null;
  /** The services in it that lead now. */
  readonly leads?: () => string[];
  /** Where other services reach its service port, `host:port`, once it listens. */
  readonly serviceAddress: () => string;
  /** Its id, if it is a gateway. */
  readonly gateway?: () => string;
  /** Bad files of its keys directory, if it is a gateway. */
  readonly keysProblems?: () => number;
  /** Begins the work, once the process listens. */
  readonly begin: () => Promise<void>;
  /** Ends the work, while the ports are still there. Also after a beginning that has failed half-way. */
  readonly end: () => Promise<void>;
  /** Where events are reported (event_report.proto, ReportEventsRequest) while there is no NATS; default: nowhere. */
  readonly report?: (events: Uint8Array) => void;
}

/** What a process of one service has around it: the bus, what it listens on, metrics, and the means to look into it. */
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

  /** @throws SettingError: settings that contradict each other, or cannot be secured as they must be. */
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
   * Looks at NATS, listens, has the service begin, and answers for the process; if any of it fails, all is stopped again.
   * @throws SettingError: what is missing or taken.
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

  /** Has the service end while its ports are still there, then goes. */
  async stop(): Promise<void> {
    this.ports.notServing();
    this.#control.stop();
    await this.#service.end();
    await this.ports.stop();
    this.events.stop();
    await this.bus.close();
    await this.tracing.stop();
  }

  /** The address that others are told must be one where they reach us. @throws SettingError: it is neither known nor `set`. */
  checkReachable(setting: string, { isSet }: { readonly isSet: boolean }): void {
    const isKnown = this.ports.advertisedServiceAddress !== '' || isSet;
    if (this.#options.settings.natsUrl.length === 0 || isKnown) return;
    const why = 'must be set: the service port listens on all addresses, and others must be told one';
    throw new SettingError(setting, why);
  }
}

/** Reports go over NATS, or without it wherever the service says. */
function reportingBus({ bus, link }: ProcessBus, report: FramedService['report']): Pick<Bus, 'publish'> {
  return link !== null || report === undefined ? bus : { publish: (_subject, events) => report(events) };
}

/** How a process is called, as `Process` (process.proto) calls it. */
export function processId(service: string): string {
  return `${service}-${hostname()}-${process.pid}`;
}

/** Makes what `spanmesh run` runs, by its settings. @throws SettingError */
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
 * Says of each variable that nothing reads that it is not used. It ends nothing: an environment may be made for a newer version, to which
 * this one is rolled back.
 */
export function warnOfUnknown(settings: object, logger: Pick<Logger, 'warn'>): void {
  for (const { variable, meant } of unknownRead(settings)) {
    logger.warn({ variable, ...(meant !== null && { meant }) }, 'this variable is no setting, and is not used');
  }
}
