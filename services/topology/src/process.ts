import { Console } from '@spanmesh/console/console';
import { consoleSettings } from '@spanmesh/console/settings';
import { VOLCONF_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { natsSettings } from '@spanmesh/runtime/bus/nats/nats-settings';
import { OtherServices } from '@spanmesh/runtime/grpc/other-services';
import { LeaderAddress } from '@spanmesh/runtime/lease/leader-address';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Metrics } from '@spanmesh/runtime/metrics';
import { createByName, ProcessFrame } from '@spanmesh/runtime/process/process-frame';
import type { ProcessPorts } from '@spanmesh/runtime/process/process-ports';
import { processSettings } from '@spanmesh/runtime/process/process-settings';
import type { Service } from '@spanmesh/runtime/process/service';
import { systemRandom } from '@spanmesh/runtime/random';
import { type SettingSources, type SettingValues, setting } from '@spanmesh/runtime/settings/setting';
import { text } from '@spanmesh/runtime/settings/setting-types';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME, VOLCONF_NAME } from '@spanmesh/runtime/tls/service-names';
import { meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import { VERSION } from '@spanmesh/runtime/version';
import { settings as topologySettings } from './settings.ts';
import { createTopology, type Topology } from './topology.ts';

/** All settings of `spanmesh run topology`. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7987', service: '127.0.0.1:7986', http: '127.0.0.1:8987' }),
  ...topologySettings,
  ...natsSettings,
  ...consoleSettings,
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
  readonly logger: Logger;
  readonly console: Console;

  readonly #frame: ProcessFrame;
  readonly #options: Options;
  readonly #volconf: LeaderAddress;
  readonly #others: OtherServices;

  /**
   * `protocolVersion`, `replicationVersion`: the versions that the process claims to speak; for tests with several
   * versions.
   */
  constructor(
    options: Options,
    logger: Logger,
    {
      protocolVersion,
      replicationVersion,
      env,
    }: { protocolVersion?: number; replicationVersion?: number; env?: SettingSources['env'] } = {},
  ) {
    this.#options = options;
    this.logger = logger;
    const frame = new ProcessFrame(
      { service: 'topology', name: TOPOLOGY_NAME, settings: options, protocolVersion, env },
      {
        logger,
        service: {
          begin: () => this.#begin(),
          end: () => this.#end(),
          notReady: () => this.topology.notReady(),
          leads: () => (this.topology.core.leadership.valid ? ['topology'] : []),
          serviceAddress: () => this.#serviceAddress,
        },
      },
    );
    this.#frame = frame;
    const { bus, clock, metrics, ports, events } = frame;
    this.console = new Console(options, {
      clock,
      logger,
      access: ports.security,
      apiAddress: () => ports.apiAddress,
    });
    this.topology = createTopology(
      {
        settings: options,
        address: () => this.#serviceAddress,
        version: VERSION,
        replicationVersion,
      },
      {
        bus,
        clock,
        logger,
        metrics,
        events,
        apiServer: ports.api,
        serviceServer: ports.service,
        random: systemRandom,
        security: ports.security.channel(TOPOLOGY_NAME),
        gatewayChannel: { security: ports.security.channel(LINK_GATEWAY_NAME) },
        protocol: ports.protocol,
        tracing: frame.tracing,
      },
    );
    const changed = () => this.#others.leaderChanged();
    this.#volconf = new LeaderAddress({ role: VOLCONF_ROLE, changed }, { bus, clock });
    const gateways = ports.security.channel(LINK_GATEWAY_NAME);
    this.#others = new OtherServices(
      {
        volconf: { address: () => this.#volconf.address(), security: ports.security.channel(VOLCONF_NAME) },
        messaging: {
          all: () => this.topology.gatewaysToAsk(),
          security: (name) => meetingGateway(gateways, name),
        },
      },
      { server: ports.api, metrics, logger, clock, events },
    );
  }

  get ports(): ProcessPorts {
    return this.#frame.ports;
  }

  get metrics(): Metrics {
    return this.#frame.metrics;
  }

  start(): Promise<void> {
    return this.#frame.start();
  }

  stop(): Promise<void> {
    return this.#frame.stop();
  }

  get #serviceAddress(): string {
    return this.#options.serviceAddress || this.ports.serviceAddress;
  }

  async #begin(): Promise<void> {
    const { serviceAddress } = this.#options;
    this.#frame.checkReachable(settings.serviceAddress.env, { isSet: serviceAddress !== '' });
    await this.topology.start();
    void this.#volconf.start();
    await this.console.start();
    const { apiPort, servicePort, httpPort } = this.ports;
    this.logger.info({ apiPort, servicePort, httpPort, console: this.console.url }, 'topology is listening');
  }

  async #end(): Promise<void> {
    await this.console.stop();
    this.#others.stop();
    await this.#volconf.stop();
    await this.topology.stop();
  }
}

/** The topology process, from its settings. @throws SettingError */
export function createTopologyProcess(from: SettingSources): TopologyProcess {
  return createByName(
    'topology',
    settings,
    from,
    (options, logger, env) => new TopologyProcess(options, logger, { env }),
  );
}
