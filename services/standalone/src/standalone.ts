import { createGateway } from '@spanmesh/link-gateway/gateway';
import type { Gateway, ListenPort } from '@spanmesh/link-gateway/gateway-service';
import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { formatHostPort } from '@spanmesh/runtime/address';
import { systemClock } from '@spanmesh/runtime/clock';
import { createClient } from '@spanmesh/runtime/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc-server';
import { HttpServer } from '@spanmesh/runtime/http-server';
import { InProcessBus } from '@spanmesh/runtime/in-process-bus';
import { createLogger, type Logger } from '@spanmesh/runtime/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { systemRandom } from '@spanmesh/runtime/random';
import type { Service } from '@spanmesh/runtime/service';
import { readSettings, type SettingSources } from '@spanmesh/runtime/setting';
import { VERSION } from '@spanmesh/runtime/version';
import { createTopology, type Topology } from '@spanmesh/topology/topology';
import { type StandaloneOptions, settings } from './settings.ts';

/** How long open calls of the gRPC API are given to end when the process stops, ms. */
const API_DRAIN_MS = 500;

/** Every service in one process and one event loop, on a bus in memory: the embedded default. */
export class Standalone implements Service {
  readonly options: StandaloneOptions;
  readonly logger: Logger;
  readonly gateway: Gateway;
  readonly topology: Topology;
  /** Where the gRPC API and HTTP listen, once started. */
  grpcPort = 0;
  httpPort = 0;

  readonly #bus: InProcessBus;
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  #api: TopologyClient | null = null;

  constructor(options: StandaloneOptions, logger: Logger) {
    this.options = options;
    this.logger = logger;
    const clock = systemClock;
    const random = systemRandom;
    const metrics = new Metrics({ processMetrics: true });
    const bus = new InProcessBus({
      onError: (err, where) => logger.error({ err, where }, 'a subscriber of the bus failed; the others go on'),
    });
    this.#bus = bus;
    this.#grpc = new GrpcServer({ listen: options.grpcListen, setting: settings.grpcListen.env }, { logger });
    this.topology = createTopology(
      { settings: options, address: () => this.#loopback(), version: VERSION },
      { bus, clock, logger, metrics, grpcServer: this.#grpc, random },
    );
    this.gateway = createGateway(options, {
      bus,
      clock,
      logger,
      metrics,
      random,
      topologyAddress: () => this.#loopback(),
      treeSource: (request, signal) => {
        if (this.#api === null) throw new Error('the API is not up yet');
        const call = this.#api.getTree(request);
        signal.addEventListener('abort', () => call.cancel(), { once: true });
        return call;
      },
    });
    this.#http = new HttpServer(
      { listen: options.httpListen, setting: settings.httpListen.env },
      { ready: () => this.topology.notReady() ?? this.gateway.notReady(), metrics, logger },
    );
  }

  /** Where DMSG peers connect to, once started. */
  get dmsgPorts(): readonly ListenPort[] {
    return this.gateway.ports;
  }

  /** The order in which things need each other: topology's API, topology, the gateway; HTTP first, so that probes are answered. */
  async start(): Promise<void> {
    try {
      this.httpPort = await this.#http.start();
      this.grpcPort = await this.#grpc.start();
      this.#api = createClient(TopologyClient, this.#loopback());
      await this.topology.start();
      await this.gateway.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Peers first, then the decisions, then those who look on. */
  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.topology.stop();
    this.#api?.close();
    await this.#grpc.stop(API_DRAIN_MS);
    await this.#http.stop();
    await this.#bus.close();
  }

  /** The own gRPC server as this process reaches it. */
  #loopback(): string {
    const { host } = this.options.grpcListen;
    const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
    return formatHostPort({ host: reached, port: this.grpcPort });
  }
}

/** A standalone process's work, by its settings. @throws SettingError */
export function createStandalone(from: SettingSources): Standalone {
  const options = readSettings(settings, from);
  return new Standalone(options, createLogger({ level: options.logLevel, service: 'standalone' }));
}

/** What a standalone that was started to be used from code shows. */
export interface RunningStandalone {
  /** Where DMSG peers connect to, in the order of the setting. */
  readonly dmsg: readonly ListenPort[];
  readonly grpcPort: number;
  readonly httpPort: number;
  /** What the gateway and the tree (`tree…`) hold at this moment. */
  counts(): Record<string, number>;
  stop(): Promise<void>;
}

/** Starts a standalone in this process; `env` are settings by their SPANMESH_ names. @throws SettingError */
export async function startStandalone(env: Record<string, string>): Promise<RunningStandalone> {
  const standalone = createStandalone({ env, flags: {} });
  await standalone.start();
  const { gateway, topology } = standalone;
  return {
    dmsg: standalone.dmsgPorts,
    grpcPort: standalone.grpcPort,
    httpPort: standalone.httpPort,
    counts: () => {
      const { tree } = topology.core.state;
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
