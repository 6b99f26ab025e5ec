import { credentials } from '@grpc/grpc-js';
import { DrainGatewayRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import type { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import type { ServiceProcess } from '../peer/installation.ts';
import type { LivePeer } from '../peer/live-peer.ts';
import { LoopbackNetwork } from '../peer/loopback-network.ts';
import { hostOf, NatsInstallation } from '../peer/nats-installation.ts';
import { scrape } from '../peer/scrape.ts';
import { differences, readTrees } from '../peer/trees.ts';
import type { Dialect } from '../peer/wire.ts';
import { CrowdPeer, type Door } from './crowd-peer.ts';
import { type Fault, processesOf, type SoakSizes, type Step } from './plan.ts';
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
/** A process that has not ended this long after SIGTERM counts as hanging, ms. */
const STOP_MS = 20_000;
/** Most resident memory that a process may have, bytes: a new one has a third of it. */
const MEMORY_BYTES = 400 * 2 ** 20;
const LOOK_MS = 50;

/** Tables and gauges of a gateway that are empty when nothing is routed. */
const EMPTY = [
  'spanmesh_gateway_on_demand_relays',
  'spanmesh_gateway_queued_bytes',
  'spanmesh_gateway_trunk_queued_bytes',
  'spanmesh_gateway_receive_pending_bytes',
];
const TRUNK_TRANSACTIONS = 'spanmesh_gateway_trunk_transactions';
const TRUNK_ROUTES = 'spanmesh_gateway_trunk_routes';
/** Counters that must stay 0: peers break no rules, and the program has no faults. */
const NEVER = /^spanmesh_gateway_(internal_errors|protocol_errors)_total/;

/** A violation that does not go away by waiting. */
class Wrong extends Error {}

/** The installation of a soak with its peers, and the faults that are played on them. */
export class SoakWorld {
  readonly installation: NatsInstallation;
  readonly network: LoopbackNetwork;
  readonly peers: CrowdPeer[];
  readonly targets: readonly SoakTarget[];
  readonly watchers: readonly SoakWatcher[];
  /** Number of connections that drains have closed so far. */
  drained = 0;
  /** For each kind of process the most resident memory that one has had so far, bytes. */
  readonly memory = new Map<string, number>();
  readonly #sizes: SoakSizes;
  /** All processes that have run since the last look, including those that were replaced. */
  readonly #ran = new Set<ServiceProcess>();
  readonly #all: { readonly host: string; readonly process: ServiceProcess }[] = [];
  readonly #wrong: string[] = [];
  /** Processes that are down at present because of a fault. */
  readonly #down = new Set<string>();
  /** Processes that have a fault at present. */
  readonly #struck = new Set<string>();
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
    this.peers = Array.from({ length: sizes.peers }, (_, n) => new CrowdPeer(n, { seed, doors }));
    const ports = () => installation.topologies.map((topology) => topology.ports.grpc);
    this.watchers = Array.from({ length: sizes.watchers }, (_, n) => new SoakWatcher(n, { seed, ports }));
    for (const host of processesOf(sizes)) this.#note(host);
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
    for (const target of targets) await target.order(installation.volconfs[0]!.ports.grpc);
    return world;
  }

  /** Everybody goes, and nothing of them is left in any table. @throws Error: something is */
  async leave(): Promise<void> {
    for (const peer of this.peers) peer.stop();
    for (const target of this.targets) await target.cancel(this.installation.volconfs[0]?.ports.grpc ?? 0);
    for (const target of this.targets) target.go();
    await this.installation.emptied();
  }

  async stop(): Promise<void> {
    clearInterval(this.#asking);
    for (const peer of this.peers) peer.stop();
    for (const watcher of this.watchers) watcher.stop();
    for (const target of this.targets) target.go();
    await this.installation.stop();
  }

  /** Plays the steps of a round under routed traffic; at its end no fault lasts. */
  async run(steps: readonly Step[]): Promise<void> {
    this.#asking = setInterval(() => this.peers[this.#next++ % this.peers.length]!.ask(), ASK_MS);
    await Promise.all(steps.map((step) => this.#do(step)));
    this.network.heal();
    for (const peer of this.peers) peer.read(true);
    clearInterval(this.#asking);
  }

  /**
   * Waits until everything is as it must be. Returns how long that took, ms; throws what is still wrong after
   * `patienceMs`.
   */
  async quiet(patienceMs: number): Promise<number> {
    const began = performance.now();
    for (;;) {
      const found = await this.#findings();
      if (this.#wrong.length > 0) throw new Wrong(this.#wrong.join('\n'));
      const took = performance.now() - began;
      if (found.length === 0) return took;
      if (took > patienceMs) throw new Wrong(found.join('\n'));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** All lines that the processes have written, in order of time. */
  logs(): string {
    const lines = [...this.#all].flatMap(({ host, process }) =>
      process.output.split('\n').flatMap((line) => (line === '' ? [] : [`${host} ${line}`])),
    );
    const at = (line: string) => /"time":"([^"]*)"/.exec(line)?.[1] ?? '';
    return lines.toSorted((a, b) => at(a).localeCompare(at(b))).join('\n');
  }

  async #do({ atMs, forMs, fault }: Step): Promise<void> {
    await sleep(atMs);
    switch (fault.kind) {
      case 'kill':
      case 'stop':
      case 'pause':
        await this.#strike(fault.process, fault.kind, forMs);
        return;
      case 'kill-leader': {
        const index = await this.installation.bucketLeader(fault.bucket).catch(() => null);
        if (index !== null) await this.#strike(hostOf('nats', index), 'kill', forMs);
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

  /**
   * Kills, stops or pauses a process, unless it has a fault already: `kill-leader` chooses its server only now, and
   * that may be one.
   */
  async #strike(host: string, how: 'kill' | 'stop' | 'pause', forMs: number): Promise<void> {
    if (this.#struck.has(host)) return;
    this.#struck.add(host);
    if (how === 'pause') {
      this.#signal(host, 'SIGSTOP');
      await sleep(forMs);
      this.#signal(host, 'SIGCONT');
    } else {
      this.#down.add(host);
      await this.#end(host, how === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await sleep(forMs);
      await this.#start(host);
      this.#down.delete(host);
    }
    this.#struck.delete(host);
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

  async #end(host: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (isNats(host)) {
      await this.#nats(host).stop(signal);
      return;
    }
    const process = this.#process(host);
    const timer = setTimeout(() => {
      this.#wrong.push(`${host} does not stop on SIGTERM: ${process.output.slice(-2000)}`);
      process.child.kill('SIGKILL');
    }, STOP_MS);
    const code = await process.stop(signal);
    clearTimeout(timer);
    if (signal === 'SIGTERM' && code !== 0) this.#wrong.push(`${host} stops with exit code ${code}`);
  }

  async #start(host: string): Promise<void> {
    const { installation } = this;
    const index = indexOf(host);
    // One server of a cluster does not become ready before another one runs.
    if (isNats(host)) await this.#nats(host).startAgain({ wait: this.#sizes.nats === 1 });
    else if (host.startsWith('gateway')) installation.gatewayAgain(index);
    else {
      const all = host.startsWith('topology') ? installation.topologies : installation.volconfs;
      all[index] = all[index]!.again();
    }
    this.#note(host);
  }

  #signal(host: string, signal: NodeJS.Signals): void {
    if (isNats(host)) this.#nats(host).signal(signal);
    else this.#process(host).child.kill(signal);
  }

  #nats(host: string): NatsServerProcess {
    return this.installation.natsServers[indexOf(host)]!;
  }

  #process(host: string): ServiceProcess {
    const { gateways, topologies, volconfs } = this.installation;
    const index = indexOf(host);
    const all = host.startsWith('gateway') ? gateways : host.startsWith('topology') ? topologies : volconfs;
    return all[index]!;
  }

  /** Registers a process: if it ends although no fault has stopped it, that is a finding. */
  #note(host: string): void {
    if (isNats(host)) return;
    const process = this.#process(host);
    this.#ran.add(process);
    this.#all.push({ host, process });
    process.child.once('exit', (code, signal) => {
      if (!this.#down.has(host)) this.#wrong.push(`${host} has ended by itself: ${code ?? signal}\n${process.output}`);
    });
  }

  async #findings(): Promise<string[]> {
    this.#readLogs();
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
    if (found.length > 0) return found;
    const refusedBy = new Map(this.peers.map(({ live, refused }) => [live, refused]));
    const refused = (peer: LivePeer) => refusedBy.get(peer) ?? [];
    const live = [...this.peers.flatMap(({ live }) => live ?? []), ...this.targets.flatMap(({ live }) => live)];
    try {
      for (const [i, { ports }] of topologies.entries()) {
        const trees = await readTrees(ports.grpc);
        const differs = [
          ...differences(live, trees, { rnssAdd: RNSS_ADD, refused }),
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
      const samples = await scrape(this.#process(host).ports.http);
      const memory = samples.get('process_resident_memory_bytes');
      if (memory === undefined) throw new Wrong(`${host} does not say how much memory it has`);
      const kind = host.slice(0, host.lastIndexOf('-'));
      this.memory.set(kind, Math.max(memory, this.memory.get(kind) ?? 0));
      if (memory > MEMORY_BYTES) this.#wrong.push(`${host} has ${Math.round(memory / 2 ** 20)} MiB of memory`);
      // Route transactions stay as long as the relays that have used them; but nothing may be stacked on them.
      const routed = (samples.get(TRUNK_TRANSACTIONS) ?? 0) - (samples.get(TRUNK_ROUTES) ?? 0);
      if (routed !== 0) found.push(`${host}: ${routed} transactions are open on trunks`);
      const transactions = samples.get('spanmesh_gateway_open{table="transactions"}') ?? 0;
      const own = this.peers.filter(({ gateway }) => gateway === this.network.address(host));
      const dialled = this.targets
        .flatMap(({ live }) => live)
        .filter(({ raw }) => raw.socket.remoteAddress === this.network.address(host));
      const all = [...own.flatMap(({ live }) => live ?? []), ...dialled];
      const open = all.reduce((sum, one) => sum + openOn(one), 0);
      if (transactions !== open) {
        found.push(`${host} has ${transactions} transactions open, its peers ${open}`);
        found.push(...own.flatMap((peer) => peer.unfinished()));
      }
      for (const [name, value] of samples) {
        if (value !== 0 && NEVER.test(name)) this.#wrong.push(`${host}: ${name} is ${value}`);
        if (value !== 0 && EMPTY.includes(name)) found.push(`${host}: ${name} is ${value}`);
      }
    }
    return found;
  }

  /** Every line logged as an error is a violation. */
  #readLogs(): void {
    for (const process of this.#ran) {
      const errors = process.output.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
      this.#wrong.push(...errors);
      if (process.child.exitCode !== null || process.child.signalCode !== null) this.#ran.delete(process);
    }
  }
}

/** Number of transactions that a peer explains at its gateway: both LNK_CONNs, spans and relays. */
function openOn({
  conns,
  spans,
  held,
}: {
  conns: Map<unknown, unknown>;
  spans: Map<unknown, unknown>;
  held: Map<unknown, unknown>;
}): number {
  return 1 + conns.size + spans.size + held.size;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isNats(host: string): boolean {
  return host.startsWith('nats-');
}

/** Index of a host's process, from 0. */
function indexOf(host: string): number {
  return Number(host.slice(host.lastIndexOf('-') + 1)) - 1;
}
