import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ListClustersRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { BUCKETS, bucketOf, LEASES_BUCKET } from '@spanmesh/runtime/bus/bus-names';
import { NatsBus } from '@spanmesh/runtime/bus/nats/nats-bus';
import {
  NatsServerProcess,
  natsOptionsFor,
  startNatsCluster,
  streamLeader,
} from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { systemClock } from '@spanmesh/runtime/clock';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { decodeLeaseRecord } from '@spanmesh/runtime/lease/lease-record';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { freePorts, type GatewayProcess, living, type Ports, ServiceProcess } from './installation.ts';
import type { LoopbackNetwork } from './loopback-network.ts';
import { PATIENCE_MS } from './raw-peer.ts';
import { emptied, sample } from './scrape.ts';

/** Number of processes of each service. */
export interface Sizes {
  readonly topologies: number;
  readonly gateways: number;
  readonly volconfs: number;
  /**
   * Number of NATS servers; default: one. With 0, gateways are given the addresses of the topologies, and there is no
   * volconf.
   */
  readonly nats?: 0 | 1 | 3;
  /** Additional configuration of the only NATS server. */
  readonly natsConfig?: string;
}

/** The name of a process of the installation in a LoopbackNetwork; `index` counts from 0, names count from 1. */
export const hostOf = (kind: 'nats' | 'topology' | 'gateway' | 'volconf', index: number): string =>
  `${kind}-${index + 1}`;

/** JetStream's name of a bucket, for an installation without a name of its own. */
const streamOf = (bucket: string): string => `KV_${bucketOf('spanmesh', bucket)}`;

/** Several processes of every service, which find each other by a real nats-server, or without one by addresses. */
export class NatsInstallation {
  readonly natsServers: readonly NatsServerProcess[];
  /** The network between the processes, if it can be cut; null: they connect directly. */
  readonly network: LoopbackNetwork | null;
  readonly topologies: ServiceProcess[] = [];
  readonly gateways: GatewayProcess[] = [];
  readonly volconfs: ServiceProcess[] = [];
  readonly #ownBus: NatsBus | null;
  readonly #env: Record<string, string>;

  private constructor(
    natsServers: readonly NatsServerProcess[],
    env: Record<string, string>,
    network: LoopbackNetwork | null,
  ) {
    this.natsServers = natsServers;
    this.network = network;
    if (natsServers.length === 0) {
      this.#env = env;
      this.#ownBus = null;
      return;
    }
    const replicas = { SPANMESH_NATS_REPLICAS: String(natsServers.length) };
    const urls = natsServers.map(({ url, port }, i) =>
      network === null ? url : `nats://${network.address(hostOf('nats', i))}:${port}`,
    );
    this.#env = { SPANMESH_NATS_URL: urls.join(), ...replicas, ...env };
    const logger = createLogger({ level: 'silent', service: 'test' });
    const deps = { clock: systemClock, logger, onError: () => {} };
    this.#ownBus = new NatsBus(natsOptionsFor(natsServers, replicas), deps);
  }

  /** `network`: the processes use each other's addresses in that network. */
  static async start(
    sizes: Sizes,
    env: Record<string, string> = {},
    network: LoopbackNetwork | null = null,
  ): Promise<NatsInstallation> {
    const made = new NatsInstallation(await startServers(sizes), env, network);
    try {
      for (const [i, { port }] of made.natsServers.entries()) await network?.serve(hostOf('nats', i), [port]);
      // Started one after the other, so that the first one leads.
      for (let i = 0; i < sizes.topologies; i++) {
        made.topologies.push(await made.#started('topology', hostOf('topology', i)));
        await made.topologies[i]!.ready();
      }
      for (let i = 0; i < sizes.gateways; i++) made.gateways.push(await made.gateway(hostOf('gateway', i)));
      for (let i = 0; i < sizes.volconfs; i++) {
        made.volconfs.push(await made.#started('volconf', hostOf('volconf', i)));
        await made.volconfs[i]!.ready();
      }
      await Promise.all(made.gateways.map((gateway) => gateway.ready()));
    } catch (error) {
      await made.stop();
      throw error;
    }
    return made;
  }

  /** Starts one more gateway, without waiting until it is ready. */
  async gateway(name: string): Promise<GatewayProcess> {
    const dmsg = { linkid: await freePort(), circuit: await freePort() };
    const trunk = await freePort();
    const gateway = await this.#started('link-gateway', name, {
      SPANMESH_GATEWAY_NAME: name,
      SPANMESH_DMSG_LISTEN: `linkid://127.0.0.1:${dmsg.linkid},circuit://127.0.0.1:${dmsg.circuit}`,
      SPANMESH_TRUNK_LISTEN: `127.0.0.1:${trunk}`,
      ...(this.natsServers.length === 0 ? { SPANMESH_TOPOLOGY_ADDRESS: this.#topologyAddresses() } : {}),
    });
    await this.network?.serve(name, [trunk, dmsg.linkid, dmsg.circuit]);
    return Object.assign(gateway, { dmsg });
  }

  /** The only NATS server. */
  get nats(): NatsServerProcess {
    return this.natsServers[0]!;
  }

  /** Starts the gateway's process again, on the same ports. Call it once it has stopped. */
  gatewayAgain(index: number): GatewayProcess {
    const { dmsg } = this.gateways[index]!;
    const gateway = Object.assign(this.gateways[index]!.again(), { dmsg });
    this.gateways[index] = gateway;
    return gateway;
  }

  /**
   * The leader according to the store, and its epoch; null: there is none, or the store does not answer at the moment.
   */
  async leader(role: string): Promise<{ port: number; epoch: number } | null> {
    const entry = await (await this.#bus.kv(LEASES_BUCKET)).get(role).catch(() => null);
    const record = entry?.value == null ? null : decodeLeaseRecord(entry.value);
    if (record === null || record.holder === '') return null;
    return { port: Number(record.address.split(':').at(-1)), epoch: record.epoch };
  }

  /** Waits for a leader: after an election of the store, or when a lease was given back, there is none for a moment. */
  leading(role: string): Promise<{ port: number; epoch: number }> {
    return eventually(async () => (await this.leader(role)) ?? undefined, `some ${role} leads`);
  }

  /** Waits until a process with another port than `port` leads. Returns it, and how long that took. */
  async leaderOtherThan(role: string, port: number): Promise<{ port: number; epoch: number; ms: number }> {
    const began = performance.now();
    return eventually(async () => {
      const leader = await this.leader(role);
      return leader === null || leader.port === port ? undefined : { ...leader, ms: performance.now() - began };
    }, `another ${role} leads`);
  }

  /** Which of three NATS servers (from 0) leads the stream of the lease bucket. */
  leaseStreamLeader(): Promise<number> {
    return this.bucketLeader(LEASES_BUCKET);
  }

  /** Which of three NATS servers (from 0) leads the stream of a bucket. */
  bucketLeader(bucket: string): Promise<number> {
    return streamLeader(this.#bus.link.nats, streamOf(bucket));
  }

  /** Waits until each of three NATS servers has all stored data. */
  async storeIsWhole(): Promise<void> {
    await eventually(async () => {
      try {
        const manager = await this.#bus.link.nats.jetstreamManager();
        for (const bucket of BUCKETS) {
          const { cluster } = await manager.streams.info(streamOf(bucket));
          if (cluster?.leader === undefined || cluster.replicas?.every(({ current }) => current) !== true) return;
        }
        return true;
      } catch {
        return; // A server is being elected.
      }
    }, 'the NATS servers have caught up');
  }

  /** The value of a process's metric; fails if it does not exist. */
  metric(process: ServiceProcess, name: string): Promise<number> {
    return sample(process.ports.http, name);
  }

  /** The sum of a metric over all gateways. */
  async sum(name: string): Promise<number> {
    const all = await Promise.all(this.gateways.map((gateway) => this.metric(gateway, name)));
    return all.reduce((a, b) => a + b, 0);
  }

  /** Waits until a topology leader has all gateways attached. */
  async gathered(topology: ServiceProcess): Promise<void> {
    await eventually(async () => {
      const live = await this.metric(topology, 'spanmesh_topology_gateways_live');
      return live === this.gateways.length ? true : undefined;
    }, 'all gateways are attached');
  }

  /** Waits until no process holds anything of peers and clients that have gone. */
  emptied(): Promise<void> {
    return emptied(living([...this.gateways, ...this.volconfs, ...this.topologies]));
  }

  async stop(): Promise<void> {
    await this.#ownBus?.close();
    const all = [...this.gateways, ...this.volconfs, ...this.topologies];
    for (const { child } of all) child.kill('SIGCONT');
    await Promise.all(all.map((one) => one.stop('SIGKILL')));
    await Promise.all(this.natsServers.map((server) => server.remove()));
    this.network?.close();
  }

  get #bus(): NatsBus {
    if (this.#ownBus === null) throw new Error('this installation has no NATS');
    return this.#ownBus;
  }

  /** The topologies' addresses, as a setting of gateways. */
  #topologyAddresses(): string {
    const address = (i: number) => this.network?.address(hostOf('topology', i)) ?? '127.0.0.1';
    return this.topologies.map(({ ports }, i) => `${address(i)}:${ports.service}`).join();
  }

  /** `host`: the name of the process in the network. */
  async #started(service: string, host: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
    const ports = await freePorts();
    if (this.network === null) return ServiceProcess.on(ports, service, { ...this.#env, ...env });
    const own = { ...this.network.env(host), ...addressSettings(this.network.address(host), ports) };
    await this.network.serve(host, [ports.service]);
    return ServiceProcess.on(ports, service, { ...this.#env, ...own, ...env });
  }
}

async function startServers({ nats = 1, natsConfig = '' }: Sizes): Promise<NatsServerProcess[]> {
  if (nats === 0) return [];
  return nats === 3 ? startNatsCluster() : [await NatsServerProcess.start({ config: natsConfig })];
}

/** Settings that tell a service its own address, for others to be told. Each service uses the setting that it knows. */
function addressSettings(address: string, ports: Ports): Record<string, string> {
  return {
    SPANMESH_TOPOLOGY_SERVICE_ADDRESS: `${address}:${ports.service}`,
    SPANMESH_GATEWAY_SERVICE_ADDRESS: `${address}:${ports.service}`,
    SPANMESH_VOLCONF_ADDRESS: `${address}:${ports.grpc}`,
  };
}

/** The outcome of a call: its status and message, and which replica has answered in which role, if one has. */
export interface Answered {
  readonly code: string;
  readonly details: string;
  readonly replica: string;
  readonly role: string;
}

/** ListClusters of the replica whose API has this port of the loopback. */
export function listClusters(port: number): Promise<Answered> {
  const client = new TopologyClient(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise((resolve) => {
    let [replica, role] = ['', ''];
    const deadline = { deadline: Date.now() + PATIENCE_MS };
    client
      .listClusters(ListClustersRequest.create(), new Metadata(), deadline, (error: ServiceError | null) => {
        client.close();
        resolve({ code: status[error?.code ?? status.OK]!, details: error?.details ?? '', replica, role });
      })
      .on('metadata', (metadata) => {
        replica = String(metadata.get('spanmesh-replica')[0] ?? '');
        role = String(metadata.get('spanmesh-role')[0] ?? '');
      });
  });
}
