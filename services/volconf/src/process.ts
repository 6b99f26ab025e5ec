import { formatHostPort } from '@spanmesh/runtime/address';
import { systemClock } from '@spanmesh/runtime/clock';
import { createLogger, type Logger } from '@spanmesh/runtime/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { warnOfMisspelt } from '@spanmesh/runtime/misspelt-settings';
import { natsSettings } from '@spanmesh/runtime/nats-settings';
import { openBus, type ProcessBus } from '@spanmesh/runtime/open-bus';
import { ProcessControl } from '@spanmesh/runtime/process-control';
import { ProcessPorts } from '@spanmesh/runtime/process-ports';
import { processSettings } from '@spanmesh/runtime/process-settings';
import { systemRandom } from '@spanmesh/runtime/random';
import type { Service } from '@spanmesh/runtime/service';
import { LINK_GATEWAY_NAME, VOLCONF_NAME } from '@spanmesh/runtime/service-names';
import {
  readSettings,
  SettingError,
  type SettingSources,
  type SettingValues,
  setting,
} from '@spanmesh/runtime/setting';
import { hostPort, optional } from '@spanmesh/runtime/setting-types';
import { settings as volconfSettings } from './settings.ts';
import { createVolconf, type Volconf } from './volconf.ts';

/** Everything that `spanmesh run volconf` can be told. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7985', service: '127.0.0.1:7984', http: '127.0.0.1:8985' }),
  ...volconfSettings,
  ...natsSettings,
  address: setting({
    env: 'SPANMESH_VOLCONF_ADDRESS',
    flag: '--volconf-address',
    default: '',
    describe:
      'host:port of this replica as others reach it; of it other replicas take the host, for the service port. Empty: where it listens.',
    parse: optional(hostPort()),
  }),
};

type Options = SettingValues<typeof settings>;

/** A replica of volconf in a process of its own. */
export class VolconfProcess implements Service {
  readonly volconf: Volconf;
  readonly ports: ProcessPorts;
  readonly metrics: Metrics;

  readonly #bus: ProcessBus;
  readonly #control: ProcessControl;
  readonly #options: Options;
  readonly #logger: Logger;

  /** `protocolVersion`: what it says that it speaks; for tests of versions side by side. */
  constructor(options: Options, logger: Logger, { protocolVersion }: { protocolVersion?: number } = {}) {
    this.#options = options;
    this.#logger = logger;
    const metrics = new Metrics({ processMetrics: true });
    this.metrics = metrics;
    this.#bus = openBus(options, { logger, metrics });
    const { bus } = this.#bus;
    this.ports = new ProcessPorts(options, {
      ready: () => this.volconf.notReady(),
      metrics,
      logger,
      ...(protocolVersion !== undefined && { protocolVersion }),
      names: [VOLCONF_NAME],
    });
    this.#control = new ProcessControl(
      { service: 'volconf', logLevel: options.logLevel },
      {
        ...this.#bus,
        clock: systemClock,
        logger,
        ports: this.ports,
        ready: () => this.volconf.notReady(),
        leads: () => (this.volconf.leads ? ['volconf'] : []),
      },
    );
    const security = this.ports.security.channel(LINK_GATEWAY_NAME);
    this.volconf = createVolconf(
      { settings: options, address: () => this.#serviceAddress(options) },
      {
        bus,
        clock: systemClock,
        logger,
        metrics,
        random: systemRandom,
        grpcServer: this.ports.api,
        serviceServer: this.ports.service,
        security,
        replicaSecurity: this.ports.security.channel(VOLCONF_NAME),
      },
    );
  }

  async start(): Promise<void> {
    try {
      await this.#bus.check();
      await this.ports.start();
      this.#checkReachable();
      await this.volconf.start();
      this.#control.start();
      if (this.#options.natsUrl.length === 0) {
        this.#logger.warn('SPANMESH_NATS_URL is not set: volconf finds gateways by NATS, and has none without');
      }
      const { apiPort, servicePort, httpPort } = this.ports;
      this.#logger.info({ apiPort, servicePort, httpPort }, 'volconf is listening');
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  #serviceAddress({ address }: Options): string {
    const { serviceAddress, servicePort } = this.ports;
    return address === null ? serviceAddress : formatHostPort({ host: address.host, port: servicePort });
  }

  /** What the lease says must be where others reach us. */
  #checkReachable(): void {
    const options = this.#options;
    const isKnown = this.ports.advertisedServiceAddress !== '' || options.address !== null;
    if (options.natsUrl.length === 0 || isKnown) return;
    const why = 'must be set: the service port listens on all addresses, and others must be told one';
    throw new SettingError('SPANMESH_VOLCONF_ADDRESS', why);
  }

  async stop(): Promise<void> {
    this.#control.stop();
    await this.volconf.stop();
    await this.ports.stop();
    await this.#bus.bus.close();
  }
}

/** A volconf process's work, by its settings. @throws SettingError */
export function createVolconfProcess(from: SettingSources): VolconfProcess {
  const options = readSettings(settings, from);
  const logger = createLogger({ level: options.logLevel, service: 'volconf' });
  warnOfMisspelt(from.env, settings, logger);
  return new VolconfProcess(options, logger);
}
