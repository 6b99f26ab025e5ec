import { credentials } from '@grpc/grpc-js';
import { DrainGatewayRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';
import type { LivePeer } from '../peer/live-peer.ts';
import { LoopbackNetwork } from '../peer/loopback-network.ts';
import { hostOf, NatsInstallation } from '../peer/nats-installation.ts';
import { scrape } from '../peer/scrape.ts';
import { differences, readTrees, type Trees } from '../peer/trees.ts';
import type { Dialect } from '../peer/wire.ts';
import { CrowdPeer, type Door } from './crowd-peer.ts';
import { countedFaults, countFindings } from './gateway-counts.ts';
import { gatewaySpanFindings } from './gateway-spans.ts';
import { Leafs } from './leafs.ts';
import { type Fault, processesOf, type SoakSizes, type Step } from './plan.ts';
import { indexOf, isNats, SoakProcesses } from './processes.ts';
import { SoakTarget } from './target.ts';
import { SoakWatcher } from './watcher.ts';

/** Relays add this to rnss: the installation's constant. */
const RNSS_ADD = 7;
/** Targets are on this host; one that was away must be tried again soon enough. */
const SOAK_ENV = {
  SPANMESH_RNSS: String(RNSS_ADD),
  SPANMESH_ON_DEMAND_IDLE: '1s',
  SPANMESH_DIAL_ALLOW: '127.0.0.0/8:*',
  SPANMESH_VOLCONF_RETRY_MAX: '5s',
};
/** A peer begins a transaction every ASK_MS. */
const ASK_MS = 5;
/** Most resident memory that a process may have, bytes: a new one has a third of it. */
const MEMORY_BYTES = 400 * 2 ** 20;
const LOOK_MS = 50;

/** A violation that does not go away by waiting. */
class Wrong extends Error {}

/** The installation of a soak with its peers, and the faults that are played on them. */
export class SoakWorld {
  readonly installation: NatsInstallation;
  readonly network: LoopbackNetwork;
  readonly peers: CrowdPeer[];
  readonly leafs: Leafs;
  readonly targets: readonly SoakTarget[];
  readonly watchers: readonly SoakWatcher[];
  /** Number of connections that drains have closed so far. */
  drained = 0;
  /** For each kind of process the most resident memory that one has had so far, bytes. */
  readonly memory = new Map<string, number>();
  readonly #sizes: SoakSizes;
  readonly #processes: SoakProcesses;
  readonly #wrong: string[] = [];
  #asking: NodeJS.Timeout | undefined;
  #next = 0;

  private constructor(
    installation: NatsInstallation,
    network: LoopbackNetwork,
    targets: readonly SoakTarget[],
    sizes: SoakSizes,
    seed: number,
  ) {
    this.installation = installation;
    this.targets = targets;
    this.network = network;
    this.#sizes = sizes;
    const doors = (dialect: Dialect): Door[] =>
      installation.gateways.map(({ dmsg }, i) => ({
        host: network.address(hostOf('gateway', i)),
        port: dmsg[dialect],
      }));
    this.peers = Array.from({ length: sizes.peers }, (_, n) => CrowdPeer.draw(n, { seed, doors }));
    const apis = () => installation.gateways.map(({ ports }, i) => ({ host: hostOf('gateway', i), port: ports.grpc }));
    this.leafs = new Leafs({ count: sizes.leafs, seed, crowd: this.peers, doors, apis });
    const ports = () => installation.topologies.map((topology) => topology.ports.grpc);
    this.watchers = Array.from({ length: sizes.watchers }, (_, n) => new SoakWatcher(n, { seed, ports }));
    this.#processes = new SoakProcesses(installation, sizes);
  }

  /** `env`: additional settings of the processes. */
  static async start(sizes: SoakSizes, seed: number, env: Record<string, string> = {}): Promise<SoakWorld> {
    const network = new LoopbackNetwork();
    const { gateways, topologies, nats } = sizes;
    env = { ...SOAK_ENV, ...env };
    const volconfs = nats === 0 ? 0 : 1;
    const installation = await NatsInstallation.start({ gateways, topologies, volconfs, nats }, env, network);
    const targets = await Promise.all(Array.from({ length: sizes.targets }, (_, n) => SoakTarget.start(n)));
    const world = new SoakWorld(installation, network, targets, sizes, seed);
    for (const peer of world.peers) peer.come();
    world.leafs.come();
    for (const target of targets) await target.order(installation.volconfs[0]!.ports.grpc);
    return world;
  }

  /** Everybody goes, and nothing of them is left in any table. @throws Error: something is */
  async leave(): Promise<void> {
    for (const peer of this.peers) peer.stop();
    this.leafs.stop();
    for (const target of this.targets) await target.cancel(this.installation.volconfs[0]?.ports.grpc ?? 0);
    for (const target of this.targets) target.go();
    await this.installation.emptied();
  }

  async stop(): Promise<void> {
    clearInterval(this.#asking);
    for (const peer of this.peers) peer.stop();
    this.leafs.stop();
    for (const watcher of this.watchers) watcher.stop();
    for (const target of this.targets) target.go();
    await this.installation.stop();
  }

  /** Plays the steps of a round under routed traffic; at its end no fault lasts. */
  async run(steps: readonly Step[]): Promise<void> {
    this.#asking = setInterval(() => this.peers[this.#next++ % this.peers.length]!.ask(), ASK_MS);
    this.leafs.call();
    await Promise.all(steps.map((step) => this.#do(step)));
    this.network.heal();
    for (const peer of this.peers) peer.read(true);
    clearInterval(this.#asking);
    this.#wrong.push(...this.leafs.pause());
  }

  /**
   * Waits until everything is as it must be, and has each leaf call a node then. Returns how long it took until
   * everything was so, ms; throws what is still wrong after `patienceMs`.
   */
  async quiet(patienceMs: number): Promise<number> {
    const began = performance.now();
    for (;;) {
      const found = await this.#findings();
      if (this.#wrong.length > 0) throw new Wrong(this.#wrong.join('\n'));
      const took = performance.now() - began;
      if (found.length === 0) {
        const unanswered = await this.leafs.prove();
        if (unanswered.length > 0) throw new Wrong(unanswered.join('\n'));
        for (const peer of this.#everybody) peer.forget();
        return took;
      }
      if (took > patienceMs) throw new Wrong(found.join('\n'));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** All lines that the processes have written, in order of time. */
  logs(): string {
    return this.#processes.logs();
  }

  /** All peers that connect by themselves, leafs included. */
  get #everybody(): readonly CrowdPeer[] {
    return [...this.peers, ...this.leafs.peers];
  }

  async #do({ atMs, forMs, fault }: Step): Promise<void> {
    await sleep(atMs);
    switch (fault.kind) {
      case 'kill':
      case 'stop':
      case 'pause':
        await this.#processes.strike(fault.process, fault.kind, forMs);
        return;
      case 'kill-leader': {
        const index = await this.installation.bucketLeader(fault.bucket).catch(() => null);
        if (index !== null) await this.#processes.strike(hostOf('nats', index), 'kill', forMs);
        return;
      }
      case 'cut':
      case 'silent':
        this.network.set(fault.process, fault.from, fault.kind);
        await sleep(forMs);
        this.network.set(fault.process, fault.from, 'open');
        return;
      case 'leave':
      case 'reset':
        this.peers[fault.peer]!.go(fault.kind);
        await sleep(forMs);
        this.peers[fault.peer]!.come();
        return;
      case 'leaf':
        this.leafs.all[fault.leaf]!.go(fault.how);
        await sleep(forMs);
        this.leafs.all[fault.leaf]!.come();
        return;
      case 'withdraw':
        this.peers[fault.peer]!.withdraw(fault.span);
        await sleep(forMs);
        this.peers[fault.peer]!.offer(fault.span);
        return;
      case 'slow':
        this.peers[fault.peer]!.read(false);
        await sleep(forMs);
        this.peers[fault.peer]!.read(true);
        return;
      case 'refuse':
        this.peers[fault.peer]!.refuse(fault.nth);
        return;
      case 'drain':
        await this.#drain(fault, forMs);
        return;
      case 'absent':
        this.targets[fault.target]!.go();
        await sleep(forMs);
        await this.targets[fault.target]!.come();
        return;
    }
  }

  /** Orders a drain at some replica, as an operator does. Faults may keep it from being carried out. */
  async #drain({ process, share }: Extract<Fault, { kind: 'drain' }>, forMs: number): Promise<void> {
    const { topologies } = this.installation;
    const { ports } = topologies[indexOf(process) % topologies.length]!;
    const client = new TopologyClient(`127.0.0.1:${ports.grpc}`, credentials.createInsecure());
    const stream = client.drainGateway(DrainGatewayRequest.create({ gateway: process, share, deadlineMs: forMs }));
    const late = setTimeout(() => stream.cancel(), 2 * forMs);
    await new Promise<void>((resolve) => {
      stream.on('data', ({ closed, cut, done }) => {
        if (done) this.drained += closed + cut;
      });
      stream.on('error', () => resolve());
      stream.on('end', resolve);
    });
    clearTimeout(late);
    client.close();
  }

  async #findings(): Promise<string[]> {
    this.#wrong.push(...this.#processes.faults());
    const { topologies } = this.installation;
    const found: string[] = [];
    for (const peer of this.peers) {
      this.#wrong.push(...peer.faults);
      if (peer.live === null) found.push(`${peer.name} is not connected`);
      if (peer.hanging > 0) found.push(`${peer.name} has ${peer.hanging} transactions open`);
      found.push(...peer.leftovers());
    }
    for (const target of this.targets) {
      this.#wrong.push(...target.faults);
      found.push(...target.findings());
    }
    this.#wrong.push(...this.leafs.faults());
    found.push(...this.leafs.findings());
    if (found.length > 0) return found;
    const refusedBy = new Map(this.peers.map(({ live, refused }) => [live, refused]));
    const refused = (peer: LivePeer) => refusedBy.get(peer) ?? [];
    const live = [...this.#everybody.flatMap(({ live }) => live ?? []), ...this.targets.flatMap(({ live }) => live)];
    try {
      for (const [i, { ports }] of topologies.entries()) {
        const trees = await readTrees(ports.grpc);
        const differs = [
          ...differences(live, trees, { rnssAdd: RNSS_ADD, refused }),
          ...this.#gatewaySpans(trees),
          ...this.watchers.flatMap((watcher) => watcher.differences(trees)),
        ];
        found.push(...differs.map((one) => `by ${hostOf('topology', i)}: ${one}`));
        if (found.length > 0) return found;
      }
      found.push(...(await this.#measures()));
    } catch (error) {
      found.push(`nothing can be asked: ${(error as Error).message}`);
    }
    return found;
  }

  async #measures(): Promise<string[]> {
    const found: string[] = [];
    for (const host of processesOf(this.#sizes)) {
      if (isNats(host)) continue;
      const samples = await scrape(this.#processes.of(host).ports.http);
      const memory = samples.get('process_resident_memory_bytes');
      if (memory === undefined) throw new Wrong(`${host} does not say how much memory it has`);
      const kind = host.slice(0, host.lastIndexOf('-'));
      this.memory.set(kind, Math.max(memory, this.memory.get(kind) ?? 0));
      if (memory > MEMORY_BYTES) this.#wrong.push(`${host} has ${Math.round(memory / 2 ** 20)} MiB of memory`);
      if (kind === 'gateway') found.push(...this.#counts(host, samples));
      this.#wrong.push(...countedFaults(host, samples));
    }
    return found;
  }

  #counts(host: string, samples: ReadonlyMap<string, number>): string[] {
    const address = this.network.address(host);
    const own = this.#everybody.filter(({ gateway }) => gateway === address);
    const dialled = this.targets.flatMap(({ live }) => live).filter(({ raw }) => raw.socket.remoteAddress === address);
    const found = countFindings(host, samples, {
      peers: [...own.flatMap(({ live }) => live ?? []), ...dialled],
      gatewaySpans: own.reduce((sum, { gatewaySpans }) => sum + gatewaySpans.length, 0),
      routes: this.leafs.clients.filter(({ route }) => route?.gateway === host).length,
    });
    if (found.length > 0) found.push(...own.flatMap((peer) => peer.unfinished()));
    return found;
  }

  #gatewaySpans(trees: Trees): string[] {
    const holders = this.#everybody.flatMap(({ name, live, gatewaySpans }) =>
      live === null ? [] : [{ name, address: live.raw.socket.localAddress ?? '', gatewaySpans }],
    );
    const routes = this.leafs.clients.flatMap(({ route }) =>
      route?.opened.dialect === ApiDialect.DIALECT_LINKID ? [{ gateway: route.gateway, link: route.opened.link }] : [],
    );
    return gatewaySpanFindings(holders, routes, trees);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
