import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ListClustersRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { LEASES_BUCKET } from '@spanmesh/runtime/bus-names';
import { systemClock } from '@spanmesh/runtime/clock';
import { decodeLeaseRecord } from '@spanmesh/runtime/lease-record';
import { createLogger } from '@spanmesh/runtime/logger';
import { NatsBus } from '@spanmesh/runtime/nats-bus';
import { NatsServerProcess, natsOptionsFor } from '@spanmesh/runtime/nats-server.fixture';
import { freePort, type GatewayProcess, ServiceProcess } from './installation.ts';
import { PATIENCE_MS } from './raw-peer.ts';

/** Milliseconds between two looks at something that tells nobody when it changes. */
const LOOK_MS = 10;

export interface Sizes {
  readonly topologies: number;
  readonly gateways: number;
  readonly volconfs: number;
}

/** Every service several times over, in processes of their own, which find each other by a real nats-server. */
export class NatsInstallation {
  readonly nats: NatsServerProcess;
  readonly topologies: ServiceProcess[] = [];
  readonly gateways: GatewayProcess[] = [];
  readonly volconfs: ServiceProcess[] = [];
  readonly #bus: NatsBus;
  readonly #env: Record<string, string>;

  private constructor(nats: NatsServerProcess, env: Record<string, string>) {
    this.nats = nats;
    this.#env = { SPANMESH_NATS_URL: nats.url, ...env };
    const logger = createLogger({ level: 'silent', service: 'test' });
    this.#bus = new NatsBus(natsOptionsFor([nats]), { clock: systemClock, logger, onError: () => {} });
  }

  static async start(sizes: Sizes, env: Record<string, string> = {}): Promise<NatsInstallation> {
    const made = new NatsInstallation(await NatsServerProcess.start(), env);
    try {
      // One after the other: who leads is known.
      for (let i = 0; i < sizes.topologies; i++) {
        made.topologies.push(await made.#started('topology'));
        await made.topologies[i]!.ready();
      }
      for (let i = 0; i < sizes.gateways; i++) made.gateways.push(await made.gateway(`gateway-${i + 1}`));
      for (let i = 0; i < sizes.volconfs; i++) {
        made.volconfs.push(await made.#started('volconf'));
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
    const gateway = await this.#started('link-gateway', {
      SPANMESH_GATEWAY_NAME: name,
      SPANMESH_DMSG_LISTEN: `linkid://127.0.0.1:${dmsg.linkid},circuit://127.0.0.1:${dmsg.circuit}`,
    });
    return Object.assign(gateway, { dmsg });
  }

  /** Who leads by what the store says, and under which epoch. */
  async leader(role: string): Promise<{ port: number; epoch: number } | null> {
    const entry = await (await this.#bus.kv(LEASES_BUCKET)).get(role).catch(() => null);
    const record = entry?.value == null ? null : decodeLeaseRecord(entry.value);
    if (record === null || record.holder === '') return null;
    return { port: Number(record.address.split(':').at(-1)), epoch: record.epoch };
  }

  /** Waits until another leads than at `port`; gives it, and how long it took. */
  async leaderOtherThan(role: string, port: number): Promise<{ port: number; epoch: number; ms: number }> {
    const began = performance.now();
    return eventually(async () => {
      const leader = await this.leader(role);
      return leader === null || leader.port === port ? undefined : { ...leader, ms: performance.now() - began };
    }, `another ${role} leads`);
  }

  /** A number of a process's metrics. */
  async metric(process: ServiceProcess, name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${process.ports.http}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
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
    await this.#bus.close();
    const all = [...this.gateways, ...this.volconfs, ...this.topologies];
    for (const { child } of all) child.kill('SIGCONT');
    await Promise.all(all.map((one) => one.stop('SIGKILL')));
    await this.nats.remove();
  }

  #started(service: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
    return ServiceProcess.start(service, { ...this.#env, ...env });
  }
}

/** What `look` finds, once it finds something. */
export async function eventually<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const giveUp = performance.now() + 2 * PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUp) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** ListClusters of a replica: how it ended, what it says on failure, and which other replica has answered, if one has. */
export function listClusters({ ports }: ServiceProcess): Promise<{ code: string; details: string; replica: string }> {
  const client = new TopologyClient(`127.0.0.1:${ports.grpc}`, credentials.createInsecure());
  return new Promise((resolve) => {
    let replica = '';
    const deadline = { deadline: Date.now() + PATIENCE_MS };
    client
      .listClusters(ListClustersRequest.create(), new Metadata(), deadline, (error: ServiceError | null) => {
        client.close();
        resolve({ code: status[error?.code ?? status.OK]!, details: error?.details ?? '', replica });
      })
      .on('metadata', (metadata) => {
        replica = String(metadata.get('spanmesh-replica')[0] ?? '');
      });
  });
}
