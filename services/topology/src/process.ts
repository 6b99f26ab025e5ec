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
import { TOPOLOGY_NAME } from '@spanmesh/runtime/service-names';
import {
  readSettings,
  SettingError,
  type SettingSources,
  type SettingValues,
  setting,
} from '@spanmesh/runtime/setting';
import { text } from '@spanmesh/runtime/setting-types';
import { VERSION } from '@spanmesh/runtime/version';
import { settings as topologySettings } from './settings.ts';
import { createTopology, type Topology } from './topology.ts';

/** Everything that `spanmesh run topology` can be told. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7987', service: '127.0.0.1:7986', http: '127.0.0.1:8987' }),
  ...topologySettings,
  ...natsSettings,
  serviceAddress: setting({
    env: 'SPANMESH_TOPOLOGY_SERVICE_ADDRESS',
    flag: '--topology-service-address',
    default: '',
    describe: 'host:port under which gateways and other replicas reach the service port; empty: where it listens.',
    parse: text({ max: 300 }),
  }),
};

type Options = SettingValues<typeof settings>;

/** A replica of topology in a process of its own. */
export class TopologyProcess implements Service {
  readonly topology: Topology;
  readonly ports: ProcessPorts;
  readonly metrics: Metrics;

  readonly #bus: ProcessBus;
  readonly #control: ProcessControl;
  readonly #options: Options;
  readonly #logger: Logger;

  /** `protocolVersion`: what it says that it speaks; for tests of versions side by side. */
  constructor(options: Options, logger: Logger, { protocolVersion }: { protocolVersion?: number } = {}) {
    this.#options = options;
    const metrics = new Metrics({ processMetrics: true });
    this.metrics = metrics;
    this.#bus = openBus(options, { logger, metrics });
    const { bus } = this.#bus;
    this.#logger = logger;
    this.ports = new ProcessPorts(options, {
      ready: () => this.topology.notReady(),
      metrics,
      logger,
      ...(protocolVersion !== undefined && { protocolVersion }),
      names: [TOPOLOGY_NAME],
    });
    this.#control = new ProcessControl(
      { service: 'topology', logLevel: options.logLevel },
      {
        ...this.#bus,
        clock: systemClock,
        logger,
        ports: this.ports,
        ready: () => this.topology.notReady(),
        leads: () => (this.topology.core.leadership.valid ? ['topology'] : []),
      },
    );
    this.topology = createTopology(
      { settings: options, address: () => options.serviceAddress || this.ports.serviceAddress, version: VERSION },
      {
        bus,
        clock: systemClock,
        logger,
        metrics,
        apiServer: this.ports.api,
        serviceServer: this.ports.service,
        random: systemRandom,
        security: this.ports.security.channel(TOPOLOGY_NAME),
        protocol: this.ports.protocol,
      },
    );
  }

  async start(): Promise<void> {
    try {
      await this.#bus.check();
      await this.ports.start();
      this.#checkReachable();
      await this.topology.start();
      this.#control.start();
      const { apiPort, servicePort, httpPort } = this.ports;
      this.#logger.info({ apiPort, servicePort, httpPort }, 'topology is listening');
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** What the lease says must be where others reach us. */
  #checkReachable(): void {
    const options = this.#options;
    const isKnown = this.ports.advertisedServiceAddress !== '' || options.serviceAddress !== '';
    if (options.natsUrl.length === 0 || isKnown) return;
    const why = 'must be set: the service port listens on all addresses, and others must be told one';
    throw new SettingError('SPANMESH_TOPOLOGY_SERVICE_ADDRESS', why);
  }

  async stop(): Promise<void> {
    this.#control.stop();
    await this.topology.stop();
    await this.ports.stop();
    await this.#bus.bus.close();
  }
}

/** A topology process's work, by its settings. @throws SettingError */
export function createTopologyProcess(from: SettingSources): TopologyProcess {
  const options = readSettings(settings, from);
  const logger = createLogger({ level: options.logLevel, service: 'topology' });
  warnOfMisspelt(from.env, settings, logger);
  return new TopologyProcess(options, logger);
}
