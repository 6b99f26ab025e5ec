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
import { decodeLeaseRecord } from '@spanmesh/runtime/lease/lease-record';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { freePort, freePorts, type GatewayProcess, type Ports, ServiceProcess } from './installation.ts';
import type { LoopbackNetwork } from './loopback-network.ts';
import { PATIENCE_MS } from './raw-peer.ts';
import { sample } from './scrape.ts';

export interface Sizes {
  readonly topologies: number;
  readonly gateways: number;
  readonly volconfs: number;
  /** Default: one server. None: gateways know the topologies by their addresses, and there is no volconf. */
  readonly nats?: 0 | 1 | 3;
  /** What the configuration of the only NATS server has besides. */
  readonly natsConfig?: string;
}

/** The hosts of a LoopbackNetwork that an installation is: NATS servers, topologies, gateways and volconfs count from 1. */
export const hostOf = (kind: 'nats' | 'topology' | 'gateway' | 'volconf', index: number): string =>
  `${kind}-${index + 1}`;

/** What JetStream calls a bucket of an installation that was given no name. */
const streamOf = (bucket: string): string => `KV_${bucketOf('spanmesh', bucket)}`;

/** Every service several times over, in processes of their own, which find each other by a real nats-server, or without one by addresses. */
export class NatsInstallation {
  readonly natsServers: readonly NatsServerProcess[];
  /** What is between the processes, if it can be cut; null: nothing is. */
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

  /** `network`: the processes know each other by the addresses that they have there. */
  static async start(
    sizes: Sizes,
    env: Record<string, string> = {},
    network: LoopbackNetwork | null = null,
  ): Promise<NatsInstallation> {
    const made = new NatsInstallation(await startServers(sizes), env, network);
    try {
      for (const [i, { port }] of made.natsServers.entries()) await network?.serve(hostOf('nats', i), [port]);
      // One after the other: who leads is known.
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

  /** One more, not waited for. */
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

  /** The gateway's process once more, on the same ports; to be called once it has stopped. */
  gatewayAgain(index: number): GatewayProcess {
    const { dmsg } = this.gateways[index]!;
    const gateway = Object.assign(this.gateways[index]!.again(), { dmsg });
    this.gateways[index] = gateway;
    return gateway;
  }

  /** Who leads by what the store says, and under which epoch; null: nobody, or the store does not say at the moment. */
  async leader(role: string): Promise<{ port: number; epoch: number } | null> {
    const entry = await (await this.#bus.kv(LEASES_BUCKET)).get(role).catch(() => null);
    const record = entry?.value == null ? null : decodeLeaseRecord(entry.value);
    if (record === null || record.holder === '') return null;
    return { port: Number(record.address.split(':').at(-1)), epoch: record.epoch };
  }

  /** Waits until somebody leads: a store that elects, or a lease that was given back, has nobody for a moment. */
  leading(role: string): Promise<{ port: number; epoch: number }> {
    return eventually(async () => (await this.leader(role)) ?? undefined, `some ${role} leads`);
  }

  /** Waits until another leads than at `port`; gives it, and how long it took. */
  async leaderOtherThan(role: string, port: number): Promise<{ port: number; epoch: number; ms: number }> {
    const began = performance.now();
    return eventually(async () => {
      const leader = await this.leader(role);
      return leader === null || leader.port === port ? undefined : { ...leader, ms: performance.now() - began };
    }, `another ${role} leads`);
  }

  /** Which of three NATS servers (from 0) leads the stream of the leases. */
  leaseStreamLeader(): Promise<number> {
    return this.bucketLeader(LEASES_BUCKET);
  }

  /** The same of any bucket. */
  bucketLeader(bucket: string): Promise<number> {
    return streamLeader(this.#bus.link.nats, streamOf(bucket));
  }

  /** Waits until each of three NATS servers has all that is stored. */
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
        return; // It elects.
      }
    }, 'the NATS servers have caught up');
  }

  /** A number of a process's metrics, which must be there. */
  metric(process: ServiceProcess, name: string): Promise<number> {
    return sample(process.ports.http, name);
  }

  /** Of all gateways together. */
  async sum(name: string): Promise<number> {
    const all = await Promise.all(this.gateways.map((gateway) => this.metric(gateway, name)));
    return all.reduce((a, b) => a + b, 0);
  }

  /** Waits until a leader has all gateways. */
  async gathered(topology: ServiceProcess): Promise<void> {
    await eventually(async () => {
      const live = await this.metric(topology, 'spanmesh_topology_gateways_live');
      return live === this.gateways.length ? true : undefined;
    }, 'all gateways are attached');
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

  /** As gateways are told of them. */
  #topologyAddresses(): string {
    const address = (i: number) => this.network?.address(hostOf('topology', i)) ?? '127.0.0.1';
    return this.topologies.map(({ ports }, i) => `${address(i)}:${ports.service}`).join();
  }

  /** `host`: its name in the network. */
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

/** Where the others reach a service, as it must be told. Each takes the one that it knows. */
function addressSettings(address: string, ports: Ports): Record<string, string> {
  return {
    SPANMESH_TOPOLOGY_SERVICE_ADDRESS: `${address}:${ports.service}`,
    SPANMESH_GATEWAY_SERVICE_ADDRESS: `${address}:${ports.service}`,
    SPANMESH_VOLCONF_ADDRESS: `${address}:${ports.grpc}`,
  };
}

/** How a call ended, what it says on failure, and which replica has answered as what, if one has. */
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
