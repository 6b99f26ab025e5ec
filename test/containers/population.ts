import { until } from '@spanmesh/runtime/patience.fixture';
import { testUuid } from '../peer/payloads.ts';
import { ReturningPeer, STANDING } from '../peer/returning-peer.ts';
import { BY_LABEL, differences, readTrees, type Trees } from '../peer/trees.ts';
import type { Dialect } from '../peer/wire.ts';
import type { ComposeSystem } from './compose-system.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
/** Every peer begins a transaction, and now and then opens or closes a span, every so many milliseconds. */
const STEP_MS = 25;
const CHURN_EVERY = 8;
/** First numbers of nodes: of each peer's own, of nodes that two peers offer, and of nodes that come and go. */
const FIRST_NODE = { own: 0x100, shared: 0x1000, passing: 0x10000 } as const;
/** Nodes of the latter kind that a peer has for itself. */
const PASSING_EACH = 0x10000;
/** How long healing may take before it counts as never, ms: TCP finds out about a side that was cut off after 12 s. */
const HEAL_MS = 60_000;
const LOOK_MS = 100;

/** Peers at the published port, which come back whenever they lose their connection, and what must hold of them. */
export class Population {
  readonly peers: ReturningPeer[] = [];
  readonly #system: ComposeSystem;
  #load: NodeJS.Timeout | undefined;
  #steps = 0;

  constructor(system: ComposeSystem) {
    this.#system = system;
  }

  /**
   * So many more peers, half of them of each dialect: each offers a node of its own, and one that its neighbour offers as well,
   * farther away.
   */
  add(count: number): void {
    for (let i = 0; i < count; i++) {
      const n = this.peers.length;
      const dialect = DIALECTS[n % 2]!;
      const spans = [
        { node: testUuid(FIRST_NODE.own + n) },
        { node: testUuid(FIRST_NODE.shared + (n >> 2)), nodeLabel: 'shared', dist: n % 4 },
      ];
      const label = `peer${n}`;
      const where = { port: this.#system.ports.dmsg, dialect, label, spans };
      const peer = new ReturningPeer(where, FIRST_NODE.passing + n * PASSING_EACH);
      this.peers.push(peer);
      peer.start();
    }
  }

  /** Transactions and spans that come and go, until `rest`. */
  work(): void {
    this.#load = setInterval(() => {
      const step = this.#steps++;
      for (const [n, peer] of this.peers.entries()) {
        peer.ask(step);
        if ((step + n) % CHURN_EVERY === 0) peer.churn();
      }
    }, STEP_MS);
  }

  /** Begins nothing more, and waits until no transaction is open at any end. Transactions that were answered, and lost, so far. */
  async rest(): Promise<{ done: number; lost: number }> {
    clearInterval(this.#load);
    const open = () => this.peers.filter((peer) => peer.open > 0).map(({ label, open: n }) => `${label}: ${n} open`);
    await cleared(async () => open(), 'no transaction is open');
    return this.outcome();
  }

  outcome(): { done: number; lost: number } {
    const sum = { done: 0, lost: 0 };
    for (const { outcome } of this.peers) {
      sum.done += outcome.done;
      sum.lost += outcome.lost;
    }
    return sum;
  }

  /** Connections so far, of all peers together. */
  arrivals(): number {
    return this.peers.reduce((all, { arrivals }) => all + arrivals, 0);
  }

  faults(): string[] {
    return this.peers.flatMap(({ faults }) => faults);
  }

  /** msgids under which each peer holds what others offer all the time. */
  held(): string[] {
    return this.peers.map(({ live }) => {
      const relays = live?.relays().filter(({ span }) => span.nodeLabel.startsWith(STANDING)) ?? [];
      return relays
        .map(({ msgid, span }) => `${msgid.toString(16)} ${span.node} ${span.dist}`)
        .toSorted()
        .join();
    });
  }

  /**
   * architecture.md, "What must always hold" 2 and 4: waits until all peers are there, the trees and what peers hold are what their
   * connections offer, and the gateways hold that and nothing else. Gives how long that took, ms.
   */
  async healed(): Promise<number> {
    const began = performance.now();
    await cleared(() => this.#differences(), 'everything is as the connections offer');
    return performance.now() - began;
  }

  async stop(): Promise<void> {
    clearInterval(this.#load);
    await Promise.all(this.peers.map((peer) => peer.stop()));
  }

  async #differences(): Promise<string[]> {
    const away = this.peers
      .filter(({ live }) => live === null || live.raw.isEnded)
      .map(({ label }) => `${label} is away`);
    if (away.length > 0) return away;
    const live = this.peers.map((peer) => peer.live!);
    let trees: Trees;
    try {
      trees = await readTrees(this.#system.ports.topology);
    } catch (error) {
      return [`no trees: ${(error as Error).message}`];
    }
    // What relays add to rnss is the installation's own; spans here have 0.
    const some = live.find(({ dialect }) => dialect === 'circuit')?.relays()[0];
    const found = differences(live, trees, { rnssAdd: some?.span.rnss ?? 0, naming: BY_LABEL });
    return found.length > 0 ? found : this.#leaks();
  }

  /** What gateways hold besides what peers have open. */
  async #leaks(): Promise<string[]> {
    const peers = this.peers.map(({ live }) => live!);
    const links = peers.reduce((all, { spans }) => all + spans.size, 0);
    const relays = peers.reduce((all, peer) => all + peer.relays().length, 0);
    const expected: Record<string, number> = {
      connections: peers.length,
      connections_established: peers.length,
      lnk_conns: peers.length,
      links,
      relays,
      on_demand_relays: 0,
      // Either side's LNK_CONN.
      'open{table="transactions"}': 2 * peers.length + links + relays,
      queued_bytes: 0,
      trunk_queued_bytes: 0,
      receive_pending_bytes: 0,
      internal_errors_total: 0,
      trunk_transactions: Number.NaN,
      trunk_routes: Number.NaN,
    };
    const found: Record<string, number> = Object.fromEntries(Object.keys(expected).map((name) => [name, 0]));
    let protocolErrors = 0;
    for (const gateway of await this.#system.running('gateway')) {
      const samples = await this.#system.scrape(gateway);
      for (const name of Object.keys(expected)) found[name]! += samples.get(`spanmesh_gateway_${name}`) ?? 0;
      for (const [name, value] of samples)
        if (name.startsWith('spanmesh_gateway_protocol_errors_total')) protocolErrors += value;
    }
    const leaks = Object.entries(expected).filter(([name, value]) => !Number.isNaN(value) && found[name] !== value);
    const said = leaks.map(([name, value]) => `gateways have ${name} ${found[name]}, not ${value}`);
    if (found.trunk_transactions !== found.trunk_routes) said.push('transactions are open on trunks');
    if (protocolErrors > 0) said.push(`${protocolErrors} protocol errors`);
    return said;
  }
}

/** Looks until nothing is in the way; fails with what is. */
export async function cleared(look: () => Promise<string[]>, what: string): Promise<void> {
  let found: string[] = [];
  const isClear = async () => {
    found = await look();
    return found.length === 0;
  };
  await until(isClear, () => `${what}; ${found.slice(0, 20).join('; ')}`, { ms: HEAL_MS, everyMs: LOOK_MS });
}
