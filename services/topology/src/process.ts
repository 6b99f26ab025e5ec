import { systemClock } from '@spanmesh/runtime/clock';
import { InProcessBus } from '@spanmesh/runtime/in-process-bus';
import { createLogger, type Logger } from '@spanmesh/runtime/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { ProcessPorts } from '@spanmesh/runtime/process-ports';
import { processSettings } from '@spanmesh/runtime/process-settings';
import { systemRandom } from '@spanmesh/runtime/random';
import type { Service } from '@spanmesh/runtime/service';
import { TOPOLOGY_NAME } from '@spanmesh/runtime/service-names';
import { readSettings, type SettingSources, type SettingValues, setting } from '@spanmesh/runtime/setting';
import { text } from '@spanmesh/runtime/setting-types';
import { VERSION } from '@spanmesh/runtime/version';
import { settings as topologySettings } from './settings.ts';
import { createTopology, type Topology } from './topology.ts';

/** Everything that `spanmesh run topology` can be told. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7987', service: '127.0.0.1:7986', http: '127.0.0.1:8987' }),
  ...topologySettings,
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

  readonly #bus: InProcessBus;
  readonly #logger: Logger;

  constructor(options: Options, logger: Logger) {
    const metrics = new Metrics({ processMetrics: true });
    const bus = new InProcessBus({
      onError: (err, where) => logger.error({ err, where }, 'a subscriber of the bus failed; the others go on'),
    });
    this.#bus = bus;
    this.#logger = logger;
    this.ports = new ProcessPorts(options, {
      ready: () => this.topology.notReady(),
      metrics,
      logger,
      names: [TOPOLOGY_NAME],
    });
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
      },
    );
  }

  async start(): Promise<void> {
    try {
      await this.ports.start();
      await this.topology.start();
      const { apiPort, servicePort, httpPort } = this.ports;
      this.#logger.info({ apiPort, servicePort, httpPort }, 'topology is listening');
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.topology.stop();
    await this.ports.stop();
    await this.#bus.close();
  }
}

/** A topology process's work, by its settings. @throws SettingError */
export function createTopologyProcess(from: SettingSources): TopologyProcess {
  const options = readSettings(settings, from);
  return new TopologyProcess(options, createLogger({ level: options.logLevel, service: 'topology' }));
}
