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
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from '@spanmesh/runtime/service-names';
import { readSettings, type SettingSources, type SettingValues, setting } from '@spanmesh/runtime/setting';
import { hostPort, optional } from '@spanmesh/runtime/setting-types';
import { createGateway } from './gateway.ts';
import type { Gateway } from './gateway-service.ts';
import { gatewaySettings } from './settings.ts';
import { fixedTopology, LeasedTopology, type TopologyLocator } from './topology-locator.ts';
import { TopologyApi, treeSourceOf } from './tree-source.ts';

/** Where topology is if nothing is said: on this host. */
const DEFAULT_TOPOLOGY = { host: '127.0.0.1', port: 7986 };

/** Everything that `spanmesh run link-gateway` can be told. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7988', service: '127.0.0.1:7985', http: '127.0.0.1:8988' }),
  ...gatewaySettings,
  ...natsSettings,
  topologyAddress: setting({
    env: 'SPANMESH_TOPOLOGY_ADDRESS',
    flag: '--topology-address',
    default: '',
    describe:
      'Service port of topology: host:port; empty: whoever leads by what NATS says, without NATS 127.0.0.1:7986.',
    parse: optional(hostPort()),
  }),
};

type Options = SettingValues<typeof settings>;

/** A link-gateway in a process of its own. */
export class LinkGatewayProcess implements Service {
  readonly gateway: Gateway;
  readonly ports: ProcessPorts;
  readonly metrics: Metrics;

  readonly #bus: ProcessBus;
  readonly #control: ProcessControl;
  readonly #locator: TopologyLocator;
  readonly #api: TopologyApi;

  /** `protocolVersion`: what it says that it speaks; for tests of versions side by side. */
  constructor(options: Options, logger: Logger, { protocolVersion }: { protocolVersion?: number } = {}) {
    const metrics = new Metrics({ processMetrics: true });
    this.metrics = metrics;
    this.#bus = openBus(options, { logger, metrics });
    const { bus } = this.#bus;
    this.ports = new ProcessPorts(options, {
      ready: () => this.gateway.notReady(),
      metrics,
      logger,
      ...(protocolVersion !== undefined && { protocolVersion }),
      names: [LINK_GATEWAY_NAME],
    });
    this.#control = new ProcessControl(
      { service: 'link-gateway', logLevel: options.logLevel },
      {
        ...this.#bus,
        clock: systemClock,
        logger,
        ports: this.ports,
        ready: () => this.gateway.notReady(),
        gateway: () => this.gateway.id,
      },
    );
    const { topologyAddress, natsUrl } = options;
    const locator =
      topologyAddress === null && natsUrl.length > 0
        ? new LeasedTopology({ bus, clock: systemClock })
        : fixedTopology(topologyAddress ?? DEFAULT_TOPOLOGY);
    this.#locator = locator;
    const security = this.ports.security.channel(TOPOLOGY_NAME);
    this.#api = new TopologyApi({ address: () => locator.address(), security });
    this.gateway = createGateway(options, {
      bus,
      clock: systemClock,
      logger,
      metrics,
      random: systemRandom,
      topologyAddress: () => locator.address(),
      onTopologyChange: (fn) => locator.onChange(fn),
      treeSource: treeSourceOf(() => this.#api.client()),
      ports: this.ports,
    });
  }

  async start(): Promise<void> {
    try {
      await this.#bus.check();
      await this.ports.start();
      this.#locator.start();
      await this.gateway.start();
      this.#control.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Peers first, then those who look on. */
  async stop(): Promise<void> {
    this.ports.notServing();
    this.#control.stop();
    await this.gateway.stop();
    await this.#locator.stop();
    this.#api.close();
    await this.ports.stop();
    await this.#bus.bus.close();
  }

  hurry(): void {
    this.gateway.hurry();
  }
}

/** A link-gateway process's work, by its settings. @throws SettingError */
export function createLinkGatewayProcess(from: SettingSources): LinkGatewayProcess {
  const options = readSettings(settings, from);
  const logger = createLogger({ level: options.logLevel, service: 'link-gateway' });
  warnOfMisspelt(from.env, settings, logger);
  return new LinkGatewayProcess(options, logger);
}
