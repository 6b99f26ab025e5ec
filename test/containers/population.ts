import { until } from '@spanmesh/runtime/patience.fixture';
import { testUuid } from '../peer/payloads.ts';
import { ReturningPeer, STANDING } from '../peer/returning-peer.ts';
import { BY_LABEL, differences, readTrees, type Trees } from '../peer/trees.ts';
import type { Dialect } from '../peer/wire.ts';
import type { ComposeSystem } from './compose-system.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
/** Every so many milliseconds each peer begins a transaction, and every eighth time it also opens or closes a span. */
const STEP_MS = 25;
const CHURN_EVERY = 8;
/** First node numbers: of each peer's own node, of nodes that two peers offer, and of nodes that come and go. */
const FIRST_NODE = { own: 0x100, shared: 0x1000, passing: 0x10000 } as const;
/** Number of the nodes that come and go which each peer has for itself. */
const PASSING_EACH = 0x10000;
/** How long healing may take, ms: TCP notices a peer or gateway that was cut off after 12 s. */
const HEAL_MS = 60_000;
const LOOK_MS = 100;

/**
 * Simulated peers at the published port, which reconnect whenever they lose their connection, and the checks of their
 * state.
 */
export class Population {
  readonly peers: ReturningPeer[] = [];
  readonly #system: ComposeSystem;
  #load: NodeJS.Timeout | undefined;
  #steps = 0;

  constructor(system: ComposeSystem) {
    this.#system = system;
  }

  /**
   * Adds so many peers, half of them of each dialect. Each offers a node of its own, and a node that its neighbour
   * offers, too, from a greater distance.
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

  /** Begins transactions and opens and closes spans, until `rest`. */
  work(): void {
    this.#load = setInterval(() => {
      const step = this.#steps++;
      for (const [n, peer] of this.peers.entries()) {
        peer.ask(step);
        if ((step + n) % CHURN_EVERY === 0) peer.churn();
      }
    }, STEP_MS);
  }

  /**
   * Begins no more transactions, and waits until none is open at either end. Returns how many were answered and lost so
   * far.
   */
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

  /** How many connections all peers together have made so far. */
  arrivals(): number {
    return this.peers.reduce((all, { arrivals }) => all + arrivals, 0);
  }

  faults(): string[] {
    return this.peers.flatMap(({ faults }) => faults);
  }

  /** For each peer: msgids, nodes and distances of its relays of the permanent spans. */
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
   * Waits until all peers are connected, the trees and the peers' relays match the spans offered, and the gateways hold
   * those and nothing else (architecture.md, "What must always hold" 2 and 4). Returns how long that took, ms.
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
    // The rnss that relays add is specific to the installation; the spans offered here have 0.
    const some = live.find(({ dialect }) => dialect === 'circuit')?.relays()[0];
    const found = differences(live, trees, { rnssAdd: some?.span.rnss ?? 0, naming: BY_LABEL });
    return found.length > 0 ? found : this.#leaks();
  }

  /** Objects that gateways hold beyond what the peers have open. */
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
      // Each connection has two LNK_CONN transactions, one of either side.
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

/** Waits until `look` finds nothing. If it never does, fails with what it found last. */
export async function cleared(look: () => Promise<string[]>, what: string): Promise<void> {
  let found: string[] = [];
  const isClear = async () => {
    found = await look();
    return found.length === 0;
  };
  await until(isClear, () => `${what}; ${found.slice(0, 20).join('; ')}`, { ms: HEAL_MS, everyMs: LOOK_MS });
}
