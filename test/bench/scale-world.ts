import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import type { ServiceProcess } from '../peer/installation.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { scrape } from '../peer/scrape.ts';
import { freePort } from './free-port.ts';
import type { BenchDialect } from './generator-peer.ts';
import { cpuSeconds, residentKb, wakeUps } from './machine.ts';
import type { ScaleDone, ScaleOrder } from './scale-generator.ts';

const GENERATOR = fileURLToPath(new URL('./scale-generator.ts', import.meta.url));

/** CPU seconds, of all processes of each kind together. */
export interface Cpu {
  readonly topology: number;
  readonly gateways: number;
  readonly nats: number;
  readonly generator: number;
}

/** Numbers of messages and of their bytes. */
export interface Traffic {
  /** Messages of Attach, as the leading topology counts them. */
  readonly upMessages: number;
  readonly upBytes: number;
  readonly downMessages: number;
  readonly downBytes: number;
  /** Messages of the NATS server, in both directions together. */
  readonly natsMessages: number;
  readonly natsBytes: number;
}

/** The cost of something: time, CPU and messages. */
export interface Used {
  readonly seconds: number;
  readonly cpu: Cpu;
  /** For topology and gateways: how often they had nothing to do, and were woken. */
  readonly wakeUps: number;
  readonly traffic: Traffic;
}

export interface ScaleSizes {
  readonly gateways: number;
  readonly topologies: number;
  readonly volconfs?: number;
  readonly dialect: BenchDialect;
}

/** An installation with a real NATS server, a load generator, and meters for both. */
export class ScaleWorld {
  readonly installation: NatsInstallation;
  readonly #generator: ChildProcess;
  readonly #natsHttp: number;
  readonly #dialect: BenchDialect;
  /** Ports of the gateways that peers are connected to. */
  readonly #ports: readonly number[];

  #answer: Pick<PromiseWithResolvers<ScaleDone>, 'resolve' | 'reject'> | null = null;
  #more: ServiceProcess | null = null;

  private constructor(installation: NatsInstallation, natsHttp: number, dialect: BenchDialect) {
    this.installation = installation;
    this.#natsHttp = natsHttp;
    this.#dialect = dialect;
    this.#ports = installation.gateways.map(({ dmsg }) => dmsg[dialect]);
    this.#generator = fork(GENERATOR);
    this.#generator.on('message', (done: ScaleDone) => this.#answer?.resolve(done));
    this.#generator.on('exit', (code) =>
      this.#answer?.reject(new Error(`the load generator ended: exit code ${code}`)),
    );
  }

  static async start({ gateways, topologies, volconfs = 0, dialect }: ScaleSizes): Promise<ScaleWorld> {
    const natsHttp = await freePort();
    const installation = await NatsInstallation.start(
      { gateways, topologies, volconfs, natsConfig: `http: "127.0.0.1:${natsHttp}"\n` },
      { SPANMESH_LOG_LEVEL: 'error' },
    );
    return new ScaleWorld(installation, natsHttp, dialect);
  }

  /** Gives the generator an order and waits for its answer; one order at a time. */
  order(order: ScaleOrder): Promise<ScaleDone> {
    const { promise, resolve, reject } = Promise.withResolvers<ScaleDone>();
    this.#answer = { resolve, reject };
    this.#generator.send(order);
    return promise;
  }

  /** Connects peers, `takers` of which ask for spans, and waits until topology has them all, too. */
  async connect(peers: number, takers = peers): Promise<void> {
    await this.order({ what: 'connect', dialect: this.#dialect, ports: this.#ports, peers, takers });
    await eventually(async () => {
      const known = await this.installation.metric(this.installation.topologies[0]!, 'spanmesh_topology_lnk_conns');
      return known === peers ? true : undefined;
    }, 'topology knows all peers');
  }

  /** The cost of `run`, without that of reading the meters. */
  async meter<T>(run: () => Promise<T>): Promise<{ used: Used; result: T }> {
    const trafficBefore = await this.#traffic();
    const cpuBefore = this.#cpu();
    const wakeUpsBefore = this.#wakeUps();
    const began = performance.now();
    const result = await run();
    const seconds = (performance.now() - began) / 1000;
    const cpu = difference(this.#cpu(), cpuBefore);
    const woken = this.#wakeUps() - wakeUpsBefore;
    const traffic = difference(await this.#traffic(), trafficBefore);
    return { used: { seconds, cpu, wakeUps: woken, traffic }, result };
  }

  /** Number of established trunks. */
  async trunks(): Promise<number> {
    // Both ends of a trunk count it.
    return (await this.installation.sum('spanmesh_gateway_trunk_established')) / 2;
  }

  #cpu(): Cpu {
    const { topologies, gateways, nats } = this.installation;
    return {
      topology: sum(topologies.map(({ child }) => cpuSeconds(child.pid!))),
      gateways: sum(gateways.map(({ child }) => cpuSeconds(child.pid!))),
      nats: cpuSeconds(nats.pid!),
      generator: cpuSeconds(this.#generator.pid!),
    };
  }

  #wakeUps(): number {
    const { topologies, gateways } = this.installation;
    return sum([...topologies, ...gateways].map(({ child }) => wakeUps(child.pid!)));
  }

  async #traffic(): Promise<Traffic> {
    const attach = await scrape(this.installation.topologies[0]!.ports.http);
    const counted = (what: string) => attach.get(`spanmesh_topology_attach_${what}_total`)!;
    const nats = (await (await fetch(`http://127.0.0.1:${this.#natsHttp}/varz`)).json()) as Record<string, number>;
    return {
      upMessages: counted('received_messages'),
      upBytes: counted('received_bytes'),
      downMessages: counted('sent_messages'),
      downBytes: counted('sent_bytes'),
      natsMessages: nats.in_msgs! + nats.out_msgs!,
      natsBytes: nats.in_bytes! + nats.out_bytes!,
    };
  }

  /** Starts a gateway without peers, and waits until topology has it. It is not included in the meters. */
  async oneMoreGateway(): Promise<void> {
    const { installation } = this;
    this.#more = await installation.gateway(`gateway-${installation.gateways.length + 1}`);
    await this.#more.ready();
    await eventually(async () => {
      const live = await installation.metric(installation.topologies[0]!, 'spanmesh_topology_gateways_live');
      return live > installation.gateways.length ? true : undefined;
    }, 'topology has one more gateway');
  }

  /** Resident memory in MB, of the leading topology and of all gateways together. */
  memory(): { topology: number; gateways: number } {
    const { topologies, gateways } = this.installation;
    return {
      topology: residentKb(topologies[0]!.child.pid!) / 1024,
      gateways: sum(gateways.map(({ child }) => residentKb(child.pid!))) / 1024,
    };
  }

  async stop(): Promise<void> {
    this.#generator.disconnect();
    await this.#more?.stop('SIGKILL');
    await this.installation.stop();
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function difference<T extends object>(after: T, before: T): T {
  const entries = Object.entries(after).map(([key, value]) => [key, value - (before[key as keyof T] as number)]);
  return Object.fromEntries(entries) as T;
}
