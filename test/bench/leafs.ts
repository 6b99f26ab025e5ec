import { Installation, type ServiceProcess } from '../peer/installation.ts';
import { scrape } from '../peer/scrape.ts';
import { COLLECTABLE, collectGarbage } from './collect-garbage.ts';
import { CLUSTER } from './generator-peer.ts';
import { GeneratorProcess } from './generator-process.ts';
import type { ClientsDone, ClientsOrder } from './leaf-clients.ts';
import type { LeafsDone, LeafsOrder } from './leafs-generator.ts';
import { cpuSeconds, residentKb } from './machine.ts';
import { count, printTable } from './table.ts';

/** The parts of all leafs in a run that are of each kind. */
const KINDS = { circuit: 0.5, linkid: 0.3, routes: 0.2 };
const NODES = { circuit: 12, linkid: 8 };
/** Number of spans of another cluster, which no leaf asks for. */
const OTHERS = 20_000;
/** Number of leafs that read the same block, and how long the node takes to answer. */
const HOT = { leafs: 1000, delayMs: 2, bytes: 4096 };
/** Number of transactions that each leaf, or the asking peer of the pair, has open. */
const IN_FLIGHT = [1, 16];

const GOAL_KB = 20;
const GOAL_RATIO = 0.7;

/** Tens of thousands of leafs on one gateway: their cost in memory, and their rates. */
export async function benchLeafs(leafs: number, seconds: number): Promise<void> {
  const world = await LeafsWorld.start();
  try {
    const sizes = { circuit: leafs * KINDS.circuit, linkid: leafs * KINDS.linkid, routes: leafs * KINDS.routes };
    await world.nodes();
    const trees = await world.trees();
    const memory = await world.memory(sizes);
    const treesAfter = await world.trees();
    printTable(`${count(leafs)} leafs on one gateway of two, ${NODES.circuit + NODES.linkid} nodes on both`, [
      ['', 'before', 'with leafs', 'goal'],
      ['links in the trees', count(trees.links), count(treesAfter.links), `at most ${count(trees.links + 1)}`],
      ['clusters', count(trees.clusters), count(treesAfter.clusters), ''],
      ['LNK_SPANs sent to each peer', '', memory.relaysEach.toFixed(1), `of ${count(trees.links)} links`],
      ['KB a circuit leaf', '', memory.circuitKb.toFixed(1), `${GOAL_KB}`],
      ['KB a linkid leaf', '', memory.linkidKb.toFixed(1), `${GOAL_KB}`],
      ['KB an OpenRoute stream', '', memory.routesKb.toFixed(1), `${GOAL_KB}`],
      ['besides, KB a leaf in topology', '', memory.topologyKb.toFixed(1), ''],
    ]);
    await world.roundTrips(sizes, seconds);
  } finally {
    await world.stop();
  }
  await benchHotBlock(seconds);
}

/** How many answers leafs get for one block: when each request is passed on, and when requests are consolidated. */
async function benchHotBlock(seconds: number): Promise<void> {
  const rows = [
    ['consolidated', 'answers/s', 'requests to the node', 'a request serves', 'p50 ms', 'p99 ms', 'CPU µs'],
  ];
  for (const clusters of ['', `${CLUSTER.toString(16).padStart(8, '0')}-0000-0000-0000-000000000000`]) {
    const world = await LeafsWorld.start({ SPANMESH_CONSOLIDATE_READS: clusters });
    try {
      await world.nodes();
      await world.peers.order({ what: 'connect', circuit: HOT.leafs, linkid: 0 });
      await world.peers.order({ what: 'hot', ...HOT, seconds: 0.5 });
      const { done, cpuUs } = await world.measured(() => world.peers.order({ what: 'hot', ...HOT, seconds }));
      rows.push([
        clusters === '' ? 'no' : 'yes',
        count(done.roundTrips / done.seconds),
        count(done.asked),
        (done.roundTrips / done.asked).toFixed(1),
        (done.p50Us / 1000).toFixed(1),
        (done.p99Us / 1000).toFixed(1),
        cpuUs.toFixed(1),
      ]);
    } finally {
      await world.stop();
    }
  }
  printTable(
    `${count(HOT.leafs)} leafs read one block of ${HOT.bytes} bytes of a node that takes ${HOT.delayMs} ms for each request`,
    rows,
  );
}

interface Sizes {
  readonly circuit: number;
  readonly linkid: number;
  readonly routes: number;
}

/** A topology and two gateways, with a load generator for peers and another for API clients. */
class LeafsWorld {
  readonly peers = new GeneratorProcess<LeafsOrder, LeafsDone>(new URL('./leafs-generator.ts', import.meta.url));
  readonly clients = new GeneratorProcess<ClientsOrder, ClientsDone>(new URL('./leaf-clients.ts', import.meta.url));
  readonly #installation: Installation;

  private constructor(installation: Installation) {
    this.#installation = installation;
  }

  static async start(settings: Record<string, string> = {}): Promise<LeafsWorld> {
    return new LeafsWorld(await Installation.start(2, { SPANMESH_LOG_LEVEL: 'error', ...COLLECTABLE, ...settings }));
  }

  async nodes(): Promise<void> {
    const gateways = this.#installation.gateways.map(({ dmsg }) => dmsg);
    await this.peers.order({ what: 'nodes', gateways, ...NODES, others: OTHERS });
    const links = NODES.circuit + NODES.linkid + OTHERS;
    while ((await this.trees()).links < links) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async trees(): Promise<{ links: number; clusters: number }> {
    const samples = await scrape(this.#installation.topology.ports.http);
    const of = (name: string) =>
      [...samples].filter(([one]) => one.startsWith(name)).reduce((sum, [, value]) => sum + value, 0);
    return { links: of('spanmesh_topology_links'), clusters: of('spanmesh_topology_clusters') };
  }

  /** Connects all leafs, kind by kind. Returns the memory that each costs, KB. */
  async memory({ circuit, linkid, routes }: Sizes) {
    const { topology } = this.#installation;
    // The first leafs load code and tables that all others share.
    await this.peers.order({ what: 'connect', circuit: 100, linkid: 100 });
    await this.#openRoutes(100);
    await this.peers.order({ what: 'call', leafs: 200, dialect: 'both', inFlight: 1, nodes: 'all', seconds: 0.5 });
    const topologyKb = await residentOf(topology);
    const start = await this.#gatewayKb();
    await this.peers.order({ what: 'connect', circuit, linkid: 0 });
    const withCircuit = await this.#gatewayKb();
    const { relays } = await this.peers.order({ what: 'connect', circuit: 0, linkid });
    const withLinkid = await this.#gatewayKb();
    await this.#openRoutes(routes);
    const all = await this.#gatewayKb();
    return {
      circuitKb: (withCircuit - start) / circuit,
      linkidKb: (withLinkid - withCircuit) / linkid,
      routesKb: (all - withLinkid) / routes,
      topologyKb: ((await residentOf(topology)) - topologyKb) / (circuit + linkid + routes),
      relaysEach: relays / (circuit + linkid + 200),
    };
  }

  async roundTrips({ circuit, linkid }: Sizes, seconds: number): Promise<void> {
    const rows = [['', 'round trips/s', 'of the two peers', 'p99 ms', 'CPU µs each', 'of the two peers', 'failed']];
    for (const dialect of ['circuit', 'linkid'] as const) {
      const leafs = dialect === 'circuit' ? circuit : linkid;
      await this.peers.order({ what: 'pair', dialect, inFlight: 16, seconds: 0.5 });
      for (const inFlight of IN_FLIGHT) {
        const pair = await this.measured(() => this.peers.order({ what: 'pair', dialect, inFlight, seconds }));
        rows.push(row(`${dialect}, two peers × ${inFlight}`, pair, pair));
        for (const nodes of ['here', 'all'] as const) {
          const order = { what: 'call', leafs, dialect, inFlight, nodes, seconds } as const;
          const calls = await this.measured(() => this.peers.order(order));
          const where = nodes === 'here' ? 'nodes of this gateway' : 'all nodes';
          rows.push(row(`${count(leafs)} leafs × ${inFlight}, ${where}`, calls, pair));
        }
      }
    }
    const { done, cpuUs } = await this.measured(() => this.clients.order({ what: 'call', seconds }));
    rows.push([
      'OpenRoute streams × 1, all nodes',
      count(done.roundTrips / done.seconds),
      '',
      '',
      cpuUs.toFixed(1),
      '',
      count(done.failed),
    ]);
    printTable(
      `Round trips, × so many at a time for each peer (goal: ${GOAL_RATIO} × of the two peers); CPU: of both gateways`,
      rows,
    );
  }

  /** Runs `run` and measures the CPU time of the gateways for each round trip. */
  async measured<Done extends ClientsDone>(run: () => Promise<Done>): Promise<{ done: Done; cpuUs: number }> {
    const cpu = () => this.#installation.gateways.reduce((sum, { child }) => sum + cpuSeconds(child.pid!), 0);
    const before = cpu();
    const done = await run();
    return { done, cpuUs: ((cpu() - before) / done.roundTrips) * 1e6 };
  }

  async stop(): Promise<void> {
    this.peers.stop();
    this.clients.stop();
    await this.#installation.stop();
  }

  #openRoutes(streams: number): Promise<ClientsDone> {
    const nodes = Array.from({ length: NODES.circuit }, (_, n) => n + 1);
    return this.clients.order({ what: 'open', port: this.#installation.gateways[0]!.ports.grpc, streams, nodes });
  }

  #gatewayKb(): Promise<number> {
    return residentOf(this.#installation.gateways[0]!);
  }
}

/** Resident memory of a process after garbage collection, KiB. */
async function residentOf(service: ServiceProcess): Promise<number> {
  await collectGarbage(service);
  return residentKb(service.child.pid!);
}

interface Measured {
  readonly done: LeafsDone;
  readonly cpuUs: number;
}

function row(what: string, { done, cpuUs }: Measured, pair: Measured): string[] {
  const rate = done.roundTrips / done.seconds;
  return [
    what,
    count(rate),
    `${(rate / (pair.done.roundTrips / pair.done.seconds)).toFixed(2)} ×`,
    (done.p99Us / 1000).toFixed(1),
    cpuUs.toFixed(1),
    `${(pair.cpuUs / cpuUs).toFixed(2)} ×`,
    count(done.failed),
  ];
}
