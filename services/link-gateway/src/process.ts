import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { formatHostPort } from '@spanmesh/runtime/address';
import { systemClock } from '@spanmesh/runtime/clock';
import { createClient } from '@spanmesh/runtime/grpc-client';
import { InProcessBus } from '@spanmesh/runtime/in-process-bus';
import { createLogger, type Logger } from '@spanmesh/runtime/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { ProcessPorts } from '@spanmesh/runtime/process-ports';
import { processSettings } from '@spanmesh/runtime/process-settings';
import { systemRandom } from '@spanmesh/runtime/random';
import type { Service } from '@spanmesh/runtime/service';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from '@spanmesh/runtime/service-names';
import { readSettings, type SettingSources, type SettingValues, setting } from '@spanmesh/runtime/setting';
import { hostPort } from '@spanmesh/runtime/setting-types';
import { createGateway } from './gateway.ts';
import type { Gateway } from './gateway-service.ts';
import { gatewaySettings } from './settings.ts';
import { treeSourceOf } from './tree-source.ts';

/** Everything that `spanmesh run link-gateway` can be told. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7988', service: '127.0.0.1:7985', http: '127.0.0.1:8988' }),
  ...gatewaySettings,
  topologyAddress: setting({
    env: 'SPANMESH_TOPOLOGY_ADDRESS',
    flag: '--topology-address',
    default: '127.0.0.1:7986',
    describe: 'Service port of topology: host:port.',
    parse: hostPort(),
  }),
};

type Options = SettingValues<typeof settings>;

/** A link-gateway in a process of its own. */
export class LinkGatewayProcess implements Service {
  readonly gateway: Gateway;
  readonly ports: ProcessPorts;

  readonly #bus: InProcessBus;
  readonly #api: TopologyClient;

  constructor(options: Options, logger: Logger) {
    const metrics = new Metrics({ processMetrics: true });
    const bus = new InProcessBus({
      onError: (err, where) => logger.error({ err, where }, 'a subscriber of the bus failed; the others go on'),
    });
    this.#bus = bus;
    this.ports = new ProcessPorts(options, {
      ready: () => this.gateway.notReady(),
      metrics,
      logger,
      names: [LINK_GATEWAY_NAME],
    });
    const topologyAddress = formatHostPort(options.topologyAddress);
    const security = this.ports.security.channel(TOPOLOGY_NAME);
    this.#api = createClient(TopologyClient, topologyAddress, { security });
    this.gateway = createGateway(options, {
      bus,
      clock: systemClock,
      logger,
      metrics,
      random: systemRandom,
      topologyAddress: () => topologyAddress,
      treeSource: treeSourceOf(() => this.#api),
      ports: this.ports,
    });
  }

  async start(): Promise<void> {
    try {
      await this.ports.start();
      await this.gateway.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Peers first, then those who look on. */
  async stop(): Promise<void> {
    await this.gateway.stop();
    this.#api.close();
    await this.ports.stop();
    await this.#bus.close();
  }
}

/** A link-gateway process's work, by its settings. @throws SettingError */
export function createLinkGatewayProcess(from: SettingSources): LinkGatewayProcess {
  const options = readSettings(settings, from);
  return new LinkGatewayProcess(options, createLogger({ level: options.logLevel, service: 'link-gateway' }));
}
