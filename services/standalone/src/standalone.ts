import { Console } from '@spanmesh/console/console';
import { TopologyLocator } from '@spanmesh/link-gateway/attach/topology-locator';
import { treeSourceOf } from '@spanmesh/link-gateway/attach/tree-source';
import { createGateway } from '@spanmesh/link-gateway/gateway';
import type { Gateway, ListenPort } from '@spanmesh/link-gateway/gateway-service';
import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { bucketOf, TARGETS_BUCKET } from '@spanmesh/runtime/bus/bus-names';
import { FileKeyValue } from '@spanmesh/runtime/bus/file/file-kv';
import { InProcessBus, type OpenBucket } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import type { OnBusError } from '@spanmesh/runtime/bus/in-process/in-process-kv';
import { systemClock } from '@spanmesh/runtime/clock';
import { EventLog } from '@spanmesh/runtime/events/event-log';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { ProcessControl } from '@spanmesh/runtime/process/process-control';
import { createByName, processId } from '@spanmesh/runtime/process/process-frame';
import { ProcessPorts } from '@spanmesh/runtime/process/process-ports';
import type { Service } from '@spanmesh/runtime/process/service';
import { systemRandom } from '@spanmesh/runtime/random';
import type { SettingSources } from '@spanmesh/runtime/settings/setting';
import { LINK_GATEWAY_NAME, SERVICE_NAMES, TOPOLOGY_NAME } from '@spanmesh/runtime/tls/service-names';
import { Tracing } from '@spanmesh/runtime/trace/tracing';
import { VERSION } from '@spanmesh/runtime/version';
import { createTopology, type Topology } from '@spanmesh/topology/topology';
import { createVolconf, type Volconf } from '@spanmesh/volconf/volconf';
import { type StandaloneOptions, settings } from './settings.ts';

/** What a standalone takes of its process. */
export interface StandaloneSurroundings {
  /** The environment variables from which OpenTelemetry is configured; default: those of the process. */
  readonly env?: SettingSources['env'];
  /** Whether to measure the process itself, for which observers stay to its end; default: yes. */
  readonly processMetrics?: boolean;
}

/** All services in one process and one event loop, with a bus in memory: the embedded default. */
export class Standalone implements Service {
  readonly options: StandaloneOptions;
  readonly logger: Logger;
  readonly gateway: Gateway;
  readonly topology: Topology;
  readonly volconf: Volconf;
  readonly console: Console;
  /** The ports of the gRPC API, of the services and of HTTP; they are open once started. */
  readonly ports: ProcessPorts;
  readonly metrics: Metrics;

  readonly #bus: InProcessBus;
  readonly #events: EventLog;
  readonly #control: ProcessControl;
  readonly #tracing = new Tracing();
  readonly #env: SettingSources['env'];
  #api: TopologyClient | null = null;

  constructor(
    options: StandaloneOptions,
    logger: Logger,
    { env = process.env, processMetrics = true }: StandaloneSurroundings = {},
  ) {
    this.options = options;
    this.#env = env;
    this.logger = logger;
    const clock = systemClock;
    const random = systemRandom;
    const metrics = new Metrics({ processMetrics });
    this.metrics = metrics;
    const onError: OnBusError = (err, where) =>
      logger.error({ err, where }, 'a subscriber of the bus failed; the others go on');
    const bus = new InProcessBus({ onError, openBucket: bucketsOnDisk(options, onError) });
    this.#bus = bus;
    const events = new EventLog({ reporter: () => processId('standalone') }, { bus, clock, logger, random });
    this.#events = events;
    const ready = () => this.topology.notReady() ?? this.gateway.notReady() ?? this.volconf.notReady();
    const ports = new ProcessPorts(options, {
      ready,
      metrics,
      logger,
      events,
      names: SERVICE_NAMES,
      gatewayName: options.name,
      tracing: this.#tracing,
    });
    this.ports = ports;
    this.#control = new ProcessControl(
      { service: 'standalone', logLevel: options.logLevel, settings: options },
      {
        bus,
        link: null,
        clock,
        logger,
        ports,
        ready,
        leads: () => this.#leads(),
        gateway: () => this.gateway.id,
        keysProblems: () => this.gateway.keysProblems,
        metrics,
      },
    );
    this.topology = createTopology(
      { settings: options, address: () => ports.serviceAddress, version: VERSION },
      {
        bus,
        clock,
        logger,
        metrics,
        events,
        apiServer: ports.api,
        serviceServer: ports.service,
        random,
        protocol: ports.protocol,
        tracing: this.#tracing,
        // The only gateway's service port is this process's.
        gatewayChannel: {
          security: ports.security.channel(LINK_GATEWAY_NAME),
          address: () => ports.serviceAddress,
        },
      },
    );
    this.gateway = createGateway(options, {
      bus,
      clock,
      logger,
      metrics,
      events,
      random,
      installation: options.installation,
      locator: new TopologyLocator({ addresses: () => [ports.serviceAddress] }, { bus: null, clock }),
      treeSource: treeSourceOf(() => this.#api),
      ports,
      tracing: this.#tracing,
    });
    this.console = new Console(options, {
      clock,
      logger,
      access: ports.security,
      apiAddress: () => ports.apiAddress,
    });
    const security = ports.security.channel(LINK_GATEWAY_NAME);
    this.volconf = createVolconf(
      { settings: options, address: () => ports.apiAddress },
      {
        bus,
        clock,
        logger,
        metrics,
        events,
        random,
        grpcServer: ports.api,
        tracing: this.#tracing,
        security,
        // The only gateway's service port is this process's.
        gatewayAddress: () => ports.serviceAddress,
      },
    );
  }

  /** The ports that DMSG peers connect to, once started. */
  get dmsgPorts(): readonly ListenPort[] {
    return this.gateway.ports;
  }

  /** Starts the parts in the order of their dependencies: the ports, topology, the gateway, volconf. */
  async start(): Promise<void> {
    try {
      await this.#tracing.start({ service: 'standalone', env: this.#env }, this);
      await this.ports.start();
      const security = this.ports.security.channel(TOPOLOGY_NAME);
      this.#api = createClient(TopologyClient, this.ports.serviceAddress, { security });
      await this.topology.start();
      await this.gateway.start();
      await this.volconf.start();
      await this.console.start();
      this.#control.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops the gateway, and so the peers, first, then topology and volconf, then the API that users watch. */
  async stop(): Promise<void> {
    this.ports.notServing();
    this.#control.stop();
    await this.console.stop();
    await this.volconf.stop();
    await this.gateway.stop();
    await this.topology.stop();
    this.#api?.close();
    await this.ports.stop();
    this.#events.stop();
    await this.#bus.close();
    await this.#tracing.stop();
  }

  hurry(): void {
    this.gateway.hurry();
  }

  #leads(): string[] {
    const topology = this.topology.core.leadership.valid ? ['topology'] : [];
    return this.volconf.leads ? [...topology, 'volconf'] : topology;
  }
}

/**
 * The buckets of the bus: operators' settings are kept on disk, if there is a data directory; everything else is kept
 * in memory.
 */
function bucketsOnDisk({ dataDir: directory, installation }: StandaloneOptions, onError: OnBusError): OpenBucket {
  const { env } = settings.dataDir;
  return (bucket) =>
    bucket === TARGETS_BUCKET && directory !== ''
      ? FileKeyValue.open({ directory, bucket: bucketOf(installation, bucket), setting: env }, { onError })
      : null;
}

/** The standalone process, from its settings. @throws SettingError */
export function createStandalone(from: SettingSources): Standalone {
  return createByName('standalone', settings, from, (options, logger, env) => new Standalone(options, logger, { env }));
}

/** A standalone that was started from code. */
export interface RunningStandalone {
  /** The ports that DMSG peers connect to, in the order of the setting. */
  readonly dmsg: readonly ListenPort[];
  readonly grpcPort: number;
  readonly servicePort: number;
  readonly httpPort: number;
  /** The console's address; empty: there is no console. */
  readonly consoleUrl: string;
  /** The present sizes of the tables of the gateway and of the tree (`tree…`). */
  counts(): Record<string, number>;
  stop(): Promise<void>;
}

/** Starts a standalone in this process. `env`: settings by their SPANMESH_ names. @throws SettingError */
export async function startStandalone(env: Record<string, string>): Promise<RunningStandalone> {
  const standalone = createStandalone({ env, flags: {} });
  await standalone.start();
  const { gateway, topology } = standalone;
  return {
    dmsg: standalone.dmsgPorts,
    grpcPort: standalone.ports.apiPort,
    servicePort: standalone.ports.servicePort,
    httpPort: standalone.ports.httpPort,
    consoleUrl: standalone.console.url,
    counts: () => {
      const { tree } = topology.core.state.trees;
      const { connections, lnkConns, clusters, nodes, links, relays } = tree.counts;
      return {
        ...gateway.counts(),
        treeConnections: connections,
        treeLnkConns: lnkConns,
        treeClusters: clusters,
        treeNodes: nodes,
        treeLinks: links,
        treeRelays: relays,
      };
    },
    stop: () => standalone.stop(),
  };
}
