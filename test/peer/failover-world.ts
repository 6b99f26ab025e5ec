import { stdout } from 'node:process';
import { TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { until as holdsWithin } from '@spanmesh/runtime/patience.fixture';
import { expect } from 'vitest';
import type { ServiceProcess } from './installation.ts';
import { LivePeer } from './live-peer.ts';
import { LoopbackNetwork } from './loopback-network.ts';
import { hostOf, NatsInstallation, type Sizes } from './nats-installation.ts';
import { testUuid } from './payloads.ts';
import { Asker, Responder } from './routed-traffic.ts';
import { differences, readTrees } from './trees.ts';
import type { Dialect } from './wire.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
/** Spans of each giver that stay open before, during and after the fault. */
const STANDING = 20;
/** Every asker begins a transaction every ASK_MS; a new peer connects to every gateway every KNOCK_MS. */
const ASK_MS = 10;
const KNOCK_MS = 50;
/** Relays add this to rnss: the installation's constant. */
const RNSS_ADD = 7;
/**
 * Milliseconds after which healing counts as failed. A gateway is waited for, and a trunk is tried again after 5 s at
 * most.
 */
const HEAL_MS = 30_000;
/**
 * First node numbers of the spans of gateway 1, of the victim (gateway 4), of askers, and of spans that come and go.
 */
const FIRST_NODE = { standing: 1, victim: 0x100, asker: 0x200, passing: 0x1000 } as const;

export type Figures = Record<string, number>;

/** A peer that offers spans and answers transactions on them. */
interface Giver {
  readonly gateway: number;
  readonly peer: LivePeer;
  readonly responder: Responder;
}

/** A peer that holds relays and opens transactions on them. */
interface Taker {
  readonly gateway: number;
  readonly peer: LivePeer;
  readonly asker: Asker;
}

export interface UndisturbedOptions {
  /** Gateways (from 0) that need not accept new connections during the fault. */
  readonly closed?: readonly number[];
}

/**
 * An installation of several processes with a real NATS server, under traffic in both dialects. Peers at gateway 1
 * offer spans; peers at gateways 2 and 3 hold the relays and route transactions to the owners. If there is a gateway 4
 * it has both kinds of peers, and the test decides what happens to them.
 */
export class FailoverWorld {
  readonly installation: NatsInstallation;
  readonly network: LoopbackNetwork;
  readonly givers: Giver[] = [];
  readonly takers: Taker[] = [];
  /** Peers of gateway 4: first those that offer spans, then those that hold relays. */
  victims: LivePeer[] = [];
  #victimResponders: Responder[] = [];
  #addresses = 0;
  #passing: number = FIRST_NODE.passing;

  private constructor(installation: NatsInstallation, network: LoopbackNetwork) {
    this.installation = installation;
    this.network = network;
  }

  static async start(sizes: Sizes): Promise<FailoverWorld> {
    const network = new LoopbackNetwork();
    const env = { SPANMESH_RNSS: String(RNSS_ADD), SPANMESH_ON_DEMAND_IDLE: '1s' };
    const world = new FailoverWorld(await NatsInstallation.start(sizes, env, network), network);
    try {
      await world.#populate();
    } catch (error) {
      await world.#end();
      throw error;
    }
    return world;
  }

  /** Everybody goes, and nothing of them is left. */
  async stop(): Promise<void> {
    for (const { raw } of this.peers()) raw.destroy();
    try {
      await this.installation.emptied();
    } finally {
      await this.#end();
    }
  }

  /** All peers, those of gateway 4 included. */
  peers(): LivePeer[] {
    return [...[...this.givers, ...this.takers].map(({ peer }) => peer), ...this.victims];
  }

  /** A peer with a LNK_CONN at a gateway (from 0), connected from an address of its own through the network. */
  async peerAt(gateway: number, dialect: Dialect, name: string): Promise<LivePeer> {
    const { dmsg } = this.installation.gateways[gateway]!;
    const n = this.#addresses++;
    const localAddress = `127.0.${1 + Math.floor(n / 250)}.${1 + (n % 250)}`;
    const host = this.network.address(hostOf('gateway', gateway));
    const peer = await LivePeer.connect({ host, port: dmsg[dialect], dialect, name, localAddress });
    await peer.openConn({ label: name });
    return peer;
  }

  /**
   * Opens new spans at gateway 1, waits until every taker holds their relays, closes them, and waits for the relays'
   * ends. Returns the time of the slower of the two, ms.
   */
  async newSpansPass(): Promise<number> {
    const began = performance.now();
    const node = testUuid(this.#passing++);
    const opened = this.givers.map(({ peer }) => peer.openSpan({ node }));
    const holders = () => this.takers.filter(({ peer }) => peer.relays().some(({ span }) => span.node === node)).length;
    await until(() => holders() === this.takers.length, 'a new span passes');
    const came = performance.now();
    for (const [i, { peer }] of this.givers.entries()) await peer.close(opened[i]!);
    await until(() => holders() === 0, 'its end passes');
    return Math.max(came - began, performance.now() - came);
  }

  async leading(): Promise<{ leader: ServiceProcess; epoch: number; index: number; host: string }> {
    const { topologies } = this.installation;
    const { port, epoch } = await this.installation.leading(TOPOLOGY_ROLE);
    const index = topologies.findIndex(({ ports }) => ports.service === port);
    const leader = topologies[index];
    if (leader === undefined) throw new Error(`topology is led from port ${port}, where none of ours is`);
    return { leader, epoch, index, host: hostOf('topology', index) };
  }

  /**
   * Waits until the trees, and the relays that peers hold, agree with what the peers' connections offer. Returns how
   * long that took, ms.
   */
  async healed(): Promise<number> {
    const began = performance.now();
    let found: string[] = [];
    const healed = async () => {
      found = await this.#differences();
      return found.length === 0;
    };
    await until(healed, () => `healed: ${found.join('; ')}`);
    return performance.now() - began;
  }

  /**
   * Runs `fault` under traffic. The relays of gateway 1's spans at the takers of gateways 2 and 3 must stay open; no
   * transaction on them may be lost; new connections must be accepted all the time; at the end everything must agree
   * with what the connections offer.
   */
  async undisturbed(
    what: string,
    fault: () => Promise<Figures>,
    { closed = [] }: UndisturbedOptions = {},
  ): Promise<void> {
    const before = this.takers.map(({ peer }) => standing(peer));
    if (before.some((held) => held.length === 0)) throw new Error('a taker holds nothing that could be disturbed');
    const routedBefore = this.#routed();
    const traffic = setInterval(() => this.#ask(), ASK_MS);
    const knocking = new Knocking(this, closed);
    let figures: Figures;
    try {
      figures = await fault();
      this.network.heal();
    } finally {
      clearInterval(traffic);
      await knocking.stop();
    }
    const healed = await this.healed();
    await this.#finished();
    const after = this.#routed();
    // The same LNK_SPANs with the same msgids: no relay was closed and opened again.
    expect(
      this.takers.map(({ peer }) => standing(peer)),
      what,
    ).toEqual(before);
    expect({ lost: after.lost - routedBefore.lost, some: after.done > routedBefore.done }, what).toEqual({
      lost: 0,
      some: true,
    });
    expect(
      this.takers.flatMap(({ asker }) => asker.faults),
      what,
    ).toEqual([]);
    expect({ refused: knocking.refused, some: knocking.taken > 0 }, what).toEqual({ refused: [], some: true });
    const rest = {
      transactions: after.done - routedBefore.done,
      'connections taken': knocking.taken,
      'healed after ms': healed,
    };
    const shown = Object.entries({ ...figures, ...rest }).map(([name, n]) => `${name} ${Math.round(n)}`);
    stdout.write(`${what}: ${shown.join(', ')}\n`);
  }

  /** Begins a transaction from each taker of `gateway` to the owner of a span at gateway 4; it may be lost. */
  askVictim(gateway: number): void {
    for (const { peer, asker } of this.takers.filter((taker) => taker.gateway === gateway)) {
      const relay = peer.relays().find(({ span }) => span.node === testUuid(FIRST_NODE.victim));
      if (relay !== undefined) asker.ask(relay, 3, true);
    }
  }

  /** Connects new peers to gateway 4. */
  async populateVictim(): Promise<void> {
    this.victims = [];
    this.#victimResponders = [];
    for (const dialect of DIALECTS) {
      const giver = await this.peerAt(3, dialect, `victim-giver-${dialect}`);
      for (let n = 0; n < STANDING; n++) giver.openSpan({ node: testUuid(FIRST_NODE.victim + n) });
      this.victims.push(giver);
      this.#victimResponders.push(new Responder(giver));
    }
    for (const dialect of DIALECTS) this.victims.push(await this.peerAt(3, dialect, `victim-taker-${dialect}`));
    await this.healed();
  }

  /** Waits until the peers of a stopped gateway have lost their connections, and connects them to another gateway. */
  async move(from: number, to: number): Promise<void> {
    const lost = [...this.givers, ...this.takers].filter(({ gateway }) => gateway === from);
    await until(() => lost.every(({ peer }) => peer.raw.isEnded), 'its peers have lost their connections');
    for (const [i, { gateway, peer }] of this.givers.entries()) {
      if (gateway === from) this.givers[i] = await this.#giver(to, peer.dialect);
    }
    for (const [i, { gateway, peer }] of this.takers.entries()) {
      if (gateway === from) this.takers[i] = await this.#taker(to, peer.dialect, i);
    }
  }

  async #end(): Promise<void> {
    for (const { raw } of this.peers()) raw.destroy();
    await this.installation.stop();
  }

  async #populate(): Promise<void> {
    for (const dialect of DIALECTS) {
      this.givers.push(await this.#giver(0, dialect));
      for (const gateway of [1, 2]) this.takers.push(await this.#taker(gateway, dialect, this.takers.length));
    }
    if (this.installation.gateways.length > 3) await this.populateVictim();
    else await this.healed();
  }

  async #giver(gateway: number, dialect: Dialect): Promise<Giver> {
    const peer = await this.peerAt(gateway, dialect, `giver-${dialect}`);
    for (let n = 0; n < STANDING; n++) {
      peer.openSpan({ node: testUuid(FIRST_NODE.standing + n), nodeLabel: `disk${n}` });
    }
    return { gateway, peer, responder: new Responder(peer) };
  }

  async #taker(gateway: number, dialect: Dialect, n: number): Promise<Taker> {
    const peer = await this.peerAt(gateway, dialect, `taker-${n + 1}-${dialect}`);
    // linkid: messages name the span of their sender as source.
    const span = dialect === 'linkid' ? peer.openSpan({ node: testUuid(FIRST_NODE.asker + n) }) : 0n;
    return { gateway, peer, asker: new Asker(peer, span) };
  }

  async #differences(): Promise<string[]> {
    const gone = this.peers().filter(({ raw }) => raw.isEnded);
    if (gone.length > 0) return gone.map(({ raw }) => `${raw.name}: its connection has ended`);
    try {
      const { leader } = await this.leading();
      return differences(this.peers(), await readTrees(leader.ports.grpc), { rnssAdd: RNSS_ADD });
    } catch (error) {
      return [`no trees: ${(error as Error).message}`];
    }
  }

  #ask(): void {
    for (const { peer, asker } of this.takers) {
      if (asker.open.size > 0) continue;
      const relay = peer.relays().find(({ span }) => span.node === testUuid(FIRST_NODE.standing));
      if (relay !== undefined) asker.ask(relay, 3);
    }
  }

  /** Waits until no transaction is open on either side. */
  async #finished(): Promise<void> {
    const open = () => [
      ...this.takers.map(({ asker }) => asker.open),
      ...this.givers.map(({ responder }) => responder.open),
    ];
    await until(() => open().every(({ size }) => size === 0), 'no transaction is open');
  }

  #routed(): { done: number; lost: number } {
    const sum = (of: (asker: Asker) => number) => this.takers.reduce((all, { asker }) => all + of(asker), 0);
    return { done: sum(({ done }) => done), lost: sum(({ lost }) => lost) };
  }
}

/**
 * Waits until the condition holds, longer than any single event may take (electing a leader, a gateway that ages out).
 */
function until(holds: () => boolean | Promise<boolean>, what: string | (() => string)): Promise<void> {
  return holdsWithin(holds, what, { ms: HEAL_MS });
}

/** The relays of gateway 1's lasting spans that the peer holds, with their msgids. */
function standing(peer: LivePeer): string[] {
  return peer
    .relays()
    .filter(({ span }) => span.nodeLabel.startsWith('disk'))
    .map(({ msgid, span }) => `${msgid.toString(16)} ${span.node} dist ${span.dist}`)
    .toSorted();
}

/** Peers that connect to every gateway again and again, open a LNK_CONN, and leave. */
class Knocking {
  taken = 0;
  readonly refused: string[] = [];
  readonly #tasks: Promise<void>[];
  #stopped = false;

  constructor(world: FailoverWorld, closed: readonly number[]) {
    const open = world.installation.gateways.map((_, i) => i).filter((i) => !closed.includes(i));
    this.#tasks = open.map((gateway) => this.#knock(world, gateway));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#tasks);
  }

  async #knock(world: FailoverWorld, gateway: number): Promise<void> {
    while (!this.#stopped) {
      try {
        const peer = await world.peerAt(gateway, 'circuit', `knocker-${gateway + 1}`);
        await peer.hangUp();
        this.taken++;
      } catch (error) {
        this.refused.push(`gateway ${gateway + 1}: ${(error as Error).message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, KNOCK_MS));
    }
  }
}
