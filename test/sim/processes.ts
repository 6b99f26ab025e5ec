import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { TopologyLocator } from '@spanmesh/link-gateway/attach/topology-locator';
import { createGateway } from '@spanmesh/link-gateway/gateway';
import type { Gateway } from '@spanmesh/link-gateway/gateway-service';
import { gatewaySettings } from '@spanmesh/link-gateway/settings';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { createLogger, type Logger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import { settings as topologySettings } from '@spanmesh/topology/settings';
import { createTopology, type Topology } from '@spanmesh/topology/topology';
import { settings as volconfSettings } from '@spanmesh/volconf/settings';
import { createVolconf, type Volconf } from '@spanmesh/volconf/volconf';
import { SimBus } from './bus.ts';
import { SimChannel } from './grpc-channel.ts';
import { SimGrpcServer } from './grpc-server.ts';
import type { SimProcess } from './kernel.ts';
import type { Network } from './network.ts';
import type { SimStore } from './store.ts';

export const SERVICE_PORT = 7985;
export const API_PORT = 7986;
export const DMSG_PORTS = { linkid: 9870, circuit: 9871 } as const;
/** Relays add this to rnss: the installation's constant. */
export const RNSS_ADD = 7;

const INSTALLATION = 'simulated';

/** What the processes of an installation share. */
export interface Surroundings {
  readonly network: Network;
  /** null: there is no store, and each process has an in-process bus of its own. */
  readonly store: SimStore | null;
  /** The host and port of topology, for installations without a store. */
  readonly topology: string;
  /** Called with each line that a process logs. */
  readonly log: (process: SimProcess, line: string) => void;
  readonly logLevel: string;
}

/** The service that a process runs. */
export type Service =
  | { readonly kind: 'gateway'; readonly gateway: Gateway }
  | { readonly kind: 'topology'; readonly topology: Topology }
  | { readonly kind: 'volconf'; readonly volconf: Volconf };

/** A process of the installation, from its start to its end. */
export interface Running {
  readonly process: SimProcess;
  readonly service: Service;
  /** Stops it as SIGTERM does; resolves when it has ended. */
  stop(): Promise<void>;
}

/** How this process makes gRPC clients: grpc-js's own, on simulated channels. */
export function simSecurity(network: Network, process: SimProcess): ChannelSecurity {
  return {
    credentials: credentials.createInsecure(),
    options: {
      channelFactoryOverride: (address: string, _credentials: ChannelCredentials) =>
        new SimChannel(network, process, address),
    },
  };
}

/** Puts a link-gateway together as services/link-gateway/src/process.ts does. */
export function startGateway(process: SimProcess, around: Surroundings): Running {
  const { bus, logger, security, ports } = parts(process, around);
  const { clock, host, chance: random } = process;
  const options = readSettings(gatewaySettings, {
    env: {
      SPANMESH_GATEWAY_NAME: process.name,
      SPANMESH_DMSG_LISTEN: `linkid://${host}:${DMSG_PORTS.linkid}, circuit://${host}:${DMSG_PORTS.circuit}`,
      SPANMESH_TRUNK_LISTEN: `${host}:0`,
      SPANMESH_ON_DEMAND_IDLE: '1s',
    },
    flags: {},
  });
  const locator = new TopologyLocator(
    { addresses: () => (around.store === null ? [around.topology] : []) },
    { bus: around.store === null ? null : bus, clock },
  );
  const gateway = createGateway(options, {
    bus,
    clock,
    logger,
    metrics: new Metrics(),
    random,
    installation: INSTALLATION,
    resolve: async (name) => [name],
    locator,
    treeSource: async function* () {},
    ports: {
      ...ports,
      advertisedServiceAddress: `${host}:${SERVICE_PORT}`,
      servicePort: SERVICE_PORT,
      all: [SERVICE_PORT, API_PORT],
      security: { channel: () => security, serviceFiles: null },
    },
  });
  ports.listen();
  locator.start();
  void gateway.start();
  return {
    process,
    service: { kind: 'gateway', gateway },
    stop: async () => {
      await gateway.stop();
      await locator.stop();
      await bus.close();
    },
  };
}

/** Puts a topology together as services/topology/src/process.ts does. */
export function startTopology(process: SimProcess, around: Surroundings): Running {
  const { bus, logger, security, ports } = parts(process, around);
  const { clock, host, chance: random } = process;
  const topology = createTopology(
    {
      settings: readSettings(topologySettings, {
        env: { SPANMESH_INSTALLATION: INSTALLATION, SPANMESH_RNSS: String(RNSS_ADD) },
        flags: {},
      }),
      address: () => `${host}:${SERVICE_PORT}`,
      version: 'simulated',
    },
    {
      bus,
      clock,
      logger,
      metrics: new Metrics(),
      apiServer: ports.api,
      serviceServer: ports.service,
      random,
      security,
    },
  );
  ports.listen();
  void topology.start();
  return {
    process,
    service: { kind: 'topology', topology },
    stop: async () => {
      await topology.stop();
      await bus.close();
    },
  };
}

/** Puts a volconf together as services/volconf/src/process.ts does. */
export function startVolconf(process: SimProcess, around: Surroundings): Running {
  const { bus, logger, security, ports } = parts(process, around);
  const { clock, host, chance: random } = process;
  const volconf = createVolconf(
    {
      settings: readSettings(volconfSettings, { env: { SPANMESH_VOLCONF_RETRY_MAX: '5s' }, flags: {} }),
      address: () => `${host}:${SERVICE_PORT}`,
    },
    {
      bus,
      clock,
      logger,
      metrics: new Metrics(),
      random,
      grpcServer: ports.api,
      serviceServer: ports.service,
      security,
      replicaSecurity: security,
    },
  );
  ports.listen();
  void volconf.start();
  return {
    process,
    service: { kind: 'volconf', volconf },
    stop: async () => {
      await volconf.stop();
      await bus.close();
    },
  };
}

function parts(process: SimProcess, { network, store, log, logLevel }: Surroundings) {
  const api = new SimGrpcServer(process);
  const service = new SimGrpcServer(process);
  const logger: Logger = createLogger({
    level: logLevel as 'error',
    service: process.name,
    destination: { write: (line: string) => log(process, line) },
  });
  const onError = (error: unknown): never => {
    throw error;
  };
  const bus: Bus = store === null ? new InProcessBus({ onError }) : new SimBus(process, store);
  return {
    bus,
    logger,
    security: simSecurity(network, process),
    ports: {
      api,
      service,
      listen: () => {
        api.listen(network, API_PORT);
        service.listen(network, SERVICE_PORT);
      },
    },
  };
}
