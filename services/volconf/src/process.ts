import { formatHostPort } from '@spanmesh/runtime/address';
import { TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
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
import { hostPort, optional } from '@spanmesh/runtime/settings/setting-types';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME, VOLCONF_NAME } from '@spanmesh/runtime/tls/service-names';
import { meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import { settings as volconfSettings } from './settings.ts';
import { createVolconf, type Volconf } from './volconf.ts';

/** All settings of `spanmesh run volconf`. */
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
  readonly logger: Logger;

  readonly #frame: ProcessFrame;
  readonly #options: Options;
  readonly #topology: LeaderAddress;
  readonly #others: OtherServices;

  /** `protocolVersion`: the version that the process claims to speak; for tests with several versions. */
  constructor(
    options: Options,
    logger: Logger,
    { protocolVersion, env }: { protocolVersion?: number; env?: SettingSources['env'] } = {},
  ) {
    this.#options = options;
    this.logger = logger;
    const frame = new ProcessFrame(
      { service: 'volconf', name: VOLCONF_NAME, settings: options, protocolVersion, env },
      {
        logger,
        service: {
          begin: () => this.#begin(),
          end: () => this.#end(),
          notReady: () => this.volconf.notReady(),
          leads: () => (this.volconf.leads ? ['volconf'] : []),
          serviceAddress: () => this.#serviceAddress(options),
        },
      },
    );
    this.#frame = frame;
    const { bus, clock, metrics, ports, events } = frame;
    this.volconf = createVolconf(
      { settings: options, address: () => this.#serviceAddress(options) },
      {
        bus,
        clock,
        logger,
        metrics,
        events,
        random: systemRandom,
        grpcServer: ports.api,
        tracing: frame.tracing,
        serviceServer: ports.service,
        security: ports.security.channel(LINK_GATEWAY_NAME),
        replicaSecurity: ports.security.channel(VOLCONF_NAME),
      },
    );
    const changed = () => this.#others.leaderChanged();
    this.#topology = new LeaderAddress({ role: TOPOLOGY_ROLE, changed }, { bus, clock });
    const gateways = ports.security.channel(LINK_GATEWAY_NAME);
    this.#others = new OtherServices(
      {
        topology: { address: () => this.#topology.address(), security: ports.security.channel(TOPOLOGY_NAME) },
        messaging: {
          all: () => this.volconf.gatewaysToAsk(),
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

  async #begin(): Promise<void> {
    const { address, natsUrl } = this.#options;
    this.#frame.checkReachable(settings.address.env, { isSet: address !== null });
    await this.volconf.start();
    void this.#topology.start();
    if (natsUrl.length === 0) {
      this.logger.warn('SPANMESH_NATS_URL is not set: volconf finds gateways by NATS, and has none without');
    }
    const { apiPort, servicePort, httpPort } = this.ports;
    this.logger.info({ apiPort, servicePort, httpPort }, 'volconf is listening');
  }

  async #end(): Promise<void> {
    this.#others.stop();
    await this.#topology.stop();
    await this.volconf.stop();
  }

  #serviceAddress({ address }: Options): string {
    const { serviceAddress, servicePort } = this.ports;
    return address === null ? serviceAddress : formatHostPort({ host: address.host, port: servicePort });
  }
}

/** The volconf process, from its settings. @throws SettingError */
export function createVolconfProcess(from: SettingSources): VolconfProcess {
  return createByName(
    'volconf',
    settings,
    from,
    (options, logger, env) => new VolconfProcess(options, logger, { env }),
  );
}
