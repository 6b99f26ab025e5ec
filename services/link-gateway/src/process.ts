import { formatHostPort } from '@spanmesh/runtime/address';
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
import { hostPort, list } from '@spanmesh/runtime/settings/setting-types';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME, VOLCONF_NAME } from '@spanmesh/runtime/tls/service-names';
import { EventReporter } from './attach/event-reporter.ts';
import { TopologyLocator } from './attach/topology-locator.ts';
import { TopologyApi, treeSourceOf } from './attach/tree-source.ts';
import { createGateway } from './gateway.ts';
import type { Gateway } from './gateway-service.ts';
import { MAX_TOPOLOGY_ADDRESSES } from './limits.ts';
import { gatewaySettings } from './settings.ts';

/** Topology's address if neither an address nor NATS is configured: on this host. */
const DEFAULT_TOPOLOGY = { host: '127.0.0.1', port: 7986 };

/** All settings of `spanmesh run link-gateway`. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7988', service: '127.0.0.1:7989', http: '127.0.0.1:8988' }),
  ...gatewaySettings,
  ...natsSettings,
  topologyAddresses: setting({
    env: 'SPANMESH_TOPOLOGY_ADDRESS',
    flag: '--topology-address',
    default: '',
    describe:
      'Service ports of topology: comma-separated host:port. With NATS the leader that NATS names is asked first, and these ' +
      'addresses while NATS is away; empty and without NATS: 127.0.0.1:7986.',
    parse: list(hostPort(), { max: MAX_TOPOLOGY_ADDRESSES }),
  }),
};

type Options = SettingValues<typeof settings>;

/** A link-gateway in a process of its own. */
export class LinkGatewayProcess implements Service {
  readonly gateway: Gateway;
  readonly logger: Logger;

  readonly #frame: ProcessFrame;
  readonly #locator: TopologyLocator;
  readonly #api: TopologyApi;
  readonly #volconf: LeaderAddress;
  readonly #others: OtherServices;
  readonly #reports: EventReporter;

  /** `protocolVersion`: the version that the process claims to speak; for tests of versions beside each other. */
  constructor(
    options: Options,
    logger: Logger,
    { protocolVersion, env }: { protocolVersion?: number; env?: SettingSources['env'] } = {},
  ) {
    this.logger = logger;
    const frame = new ProcessFrame(
      {
        service: 'link-gateway',
        name: LINK_GATEWAY_NAME,
        gatewayName: options.name,
        settings: options,
        protocolVersion,
        env,
      },
      {
        logger,
        service: {
          begin: () => this.#begin(),
          end: () => this.#end(),
          notReady: () => this.gateway.notReady(),
          gateway: () => this.gateway.id,
          serviceAddress: () => this.gateway.identity.serviceAddress,
          keysProblems: () => this.gateway.keysProblems,
          report: (events) => this.#reports.report(events),
        },
      },
    );
    this.#frame = frame;
    const { bus, clock, metrics, ports, events } = frame;
    const hasNats = options.natsUrl.length > 0;
    const named = options.topologyAddresses;
    const addresses = (named.length > 0 || hasNats ? named : [DEFAULT_TOPOLOGY]).map(formatHostPort);
    const locator = new TopologyLocator({ addresses: () => addresses }, { bus: hasNats ? bus : null, clock });
    this.#locator = locator;
    const security = ports.security.channel(TOPOLOGY_NAME);
    this.#api = new TopologyApi({ address: () => locator.address(), security });
    this.#reports = new EventReporter({ address: () => locator.address(), security });
    this.gateway = createGateway(options, {
      bus,
      clock,
      logger,
      metrics,
      events,
      random: systemRandom,
      installation: options.installation,
      locator,
      treeSource: treeSourceOf(() => this.#api.client()),
      ports,
      tracing: frame.tracing,
    });
    const changed = () => this.#others.leaderChanged();
    this.#volconf = new LeaderAddress({ role: VOLCONF_ROLE, changed }, { bus: hasNats ? bus : null, clock });
    this.#others = new OtherServices(
      {
        topology: { address: () => locator.address(), security },
        volconf: { address: () => this.#volconf.address(), security: ports.security.channel(VOLCONF_NAME) },
      },
      { server: ports.api, metrics, logger, clock, events },
    );
    locator.onChange(changed);
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

  hurry(): void {
    this.gateway.hurry();
  }

  #begin(): Promise<void> {
    this.#locator.start();
    void this.#volconf.start();
    return this.gateway.start();
  }

  /** The peers' connections end first, then the API calls that are passed on for users. */
  async #end(): Promise<void> {
    await this.gateway.stop();
    this.#others.stop();
    await this.#volconf.stop();
    await this.#locator.stop();
    this.#api.close();
    this.#reports.stop();
  }
}

/** Makes a link-gateway process from its settings. @throws SettingError */
export function createLinkGatewayProcess(from: SettingSources): LinkGatewayProcess {
  return createByName(
    'link-gateway',
    settings,
    from,
    (options, logger, env) => new LinkGatewayProcess(options, logger, { env }),
  );
}
