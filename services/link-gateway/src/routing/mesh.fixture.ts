import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { apiDialect } from '@spanmesh/proto/dialect';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { GatewayCounts } from '../gateway-service.ts';
import type { EndingsOptions } from '../shares/endings.ts';
import { spanPayload, TestGateway } from '../testing/gateway.fixture.ts';
import { EndNode } from './end-node.fixture.ts';

/** A span of a member. */
export interface Span {
  readonly tx: Transaction;
  /** Number of the link on its gateway. */
  readonly link: number;
  readonly at: TestGateway;
  readonly payload: Uint8Array;
}

/** A node, the number of its LNK_CONN, and its spans. */
export interface Member {
  readonly node: EndNode;
  readonly at: TestGateway;
  readonly lnkConn: number;
  readonly spans: Span[];
}

/** How much of a gateway's reports the mesh, as topology, has read. */
interface Read {
  links: number;
  connections: number;
  known: number;
  /** Numbers of this gateway's links that are gone. */
  readonly gone: Set<number>;
}

/** One gateway, or two with a trunk between them; nodes; and a topology that relays what the test says. */
export class Mesh {
  readonly gateways: readonly TestGateway[];
  readonly members: Member[] = [];
  readonly #read = new Map<TestGateway, Read>();
  /** Number of messages lost with trunks so far. */
  #lost = 0;

  private constructor(gateways: readonly TestGateway[]) {
    this.gateways = gateways;
    for (const gateway of gateways) this.#read.set(gateway, { links: 0, connections: 0, known: 0, gone: new Set() });
  }

  static async start(
    env: Record<string, string> = {},
    gateways: 1 | 2 = 1,
    endings: EndingsOptions = {},
  ): Promise<Mesh> {
    const clock = new FakeClock();
    const first = await TestGateway.start({ env, clock, endings });
    if (gateways === 1) return new Mesh([first]);
    const second = await TestGateway.start({ env: { ...env, SPANMESH_GATEWAY_NAME: 'gw-2' }, clock, endings });
    first.other = second;
    second.other = first;
    const mesh = new Mesh([first, second]);
    mesh.#list();
    return mesh;
  }

  /** The only gateway, or the first. */
  get gateway(): TestGateway {
    return this.gateways[0]!;
  }

  /** The counts of all gateways, added up. */
  get counts(): GatewayCounts {
    const all = this.gateways.map(({ gateway }) => gateway.counts());
    const sum = { ...all[0]! };
    for (const key of Object.keys(sum) as (keyof GatewayCounts)[]) {
      sum[key] = all.reduce((total, counts) => total + counts[key], 0);
    }
    return sum;
  }

  /** What is open on the trunks of all gateways, and the bytes that wait to be sent, added up. */
  get trunkCounts(): { established: number; routes: number; transactions: number; queuedBytes: number } {
    const sum = { established: 0, routes: 0, transactions: 0, queuedBytes: 0 };
    for (const { gateway } of this.gateways) {
      const { established, routes, transactions } = gateway.trunks!.counts();
      sum.established += established;
      sum.routes += routes;
      sum.transactions += transactions;
      sum.queuedBytes += gateway.trunks!.queuedBytes;
    }
    return sum;
  }

  async join(dialect: Dialect, at = this.gateway): Promise<Member> {
    const { attach } = at;
    const known = attach.delta.lnkConnsOpened.length;
    const node = await EndNode.connect(at.port(dialect), dialect);
    const { lnkConnsOpened } = await attach.until((delta) => delta.lnkConnsOpened.length > known);
    const member = { node, at, lnkConn: lnkConnsOpened[known]!.id, spans: [] };
    await node.barrier();
    this.members.push(member);
    return member;
  }

  async span(member: Member, dist = 1, peerType = 3): Promise<Span> {
    const { at, node } = member;
    const known = at.attach.delta.linksOpened.length;
    const payload = spanPayload(node.dialect, peerType, dist);
    const tx = node.span(payload);
    const { linksOpened } = await at.attach.until((delta) => delta.linksOpened.length > known);
    const span = { tx, link: linksOpened[known]!.id, at, payload };
    member.spans.push(span);
    return span;
  }

  /** Has topology relay a link of the member's own gateway to it. Returns the relay at the member. */
  async relay(link: number, to: Member): Promise<Transaction> {
    const known = to.node.relays.length;
    to.at.attach.command({ relays: [{ gateway: '', link, open: [to.lnkConn], close: [] }] });
    await to.node.until(() => to.node.relays.length > known);
    return to.node.relays[known]!;
  }

  /** Like `relay`, for a span on either gateway. */
  async relaySpan({ link, at, payload }: Span, to: Member): Promise<Transaction> {
    if (at === to.at) return this.relay(link, to);
    const gateway = at.gateway.id;
    const known = to.node.relays.length;
    const dialect = apiDialect(to.node.dialect);
    to.at.attach.command({
      links: [{ gateway, link, dialect, payload: Buffer.from(payload), principal: '192.0.2.1' }],
      relays: [{ gateway, link, open: [to.lnkConn], close: [] }],
    });
    await to.node.until(() => to.node.relays.length > known);
    return to.node.relays[known]!;
  }

  unrelay(link: number, from: Member): void {
    from.at.attach.command({ relays: [{ gateway: '', link, open: [], close: [from.lnkConn] }] });
  }

  unrelaySpan({ link, at }: Span, from: Member): void {
    const gateway = at === from.at ? '' : at.gateway.id;
    from.at.attach.command({ relays: [{ gateway, link, open: [], close: [from.lnkConn] }] });
  }

  /**
   * Waits until all messages that the members have sent have arrived, and the answers to them, and so on for `rounds`
   * rounds.
   */
  async settled(rounds = 4): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.#barriers();
      if (this.gateways.length === 1) continue;
      // When something ends at one gateway, its end travels behind the messages sent before: to the other gateway, then
      // to its members.
      this.#tellEnds();
      await this.#trunksQuiet();
      await this.#barriers();
    }
  }

  /** On how many connections a drain of all of a gateway's finds transactions in progress. The drain begins. */
  busy({ attach, log } = this.gateway): unknown {
    attach.command({ drains: [{ order: 'all', sharePermille: 1000, deadlineMs: 0 }] });
    return log.find(({ order }) => order === 'all')?.busy;
  }

  /** Loses the trunk with the messages on their way. It may be opened again at once. */
  async cutTrunk(): Promise<void> {
    const { trunks } = this.gateway.gateway;
    if (trunks!.counts().established === 0) return;
    trunks!.renamed();
    await this.trunkLost();
  }

  /** Waits until the trunk is lost, and counts the messages on their way as lost, so that nothing waits for them. */
  async trunkLost(): Promise<void> {
    while (this.trunkCounts.established > 0) await turn();
    this.#lost = this.#sentLessReceived();
  }

  async stop(): Promise<void> {
    for (const { node } of this.members) node.destroy();
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
  }

  async #barriers(): Promise<void> {
    for (;;) {
      await Promise.all(this.members.filter(({ node }) => !node.closed).map(({ node }) => node.barrier()));
      // The ends that are sent in slices come after that.
      if (this.gateways.every(({ gateway }) => gateway.tables().endings === 0)) return;
      await turn();
    }
  }

  /**
   * Does the work of topology: tells the other gateway of each link that has ended, and tells it again if that gateway
   * only reports later that it knows the link.
   */
  #tellEnds(): void {
    for (const gateway of this.gateways) {
      const { linksOpened, linksClosed, connectionsClosed } = gateway.attach.delta;
      const read = this.#read.get(gateway)!;
      const gone = linksClosed.slice(read.links);
      const cut = new Set(connectionsClosed.slice(read.connections));
      read.links = linksClosed.length;
      read.connections = connectionsClosed.length;
      for (const { id, connection } of linksOpened) if (cut.has(connection)) gone.push(id);
      for (const link of gone) read.gone.add(link);
      const { linksKnown } = gateway.other!.attach.delta;
      const readOfOther = this.#read.get(gateway.other!)!;
      for (const { link } of linksKnown.slice(readOfOther.known)) if (read.gone.has(link)) gone.push(link);
      readOfOther.known = linksKnown.length;
      const linksGone = gone.map((link) => ({ gateway: gateway.gateway.id, link }));
      if (linksGone.length > 0) gateway.other!.attach.command({ linksGone });
    }
  }

  async #trunksQuiet(): Promise<void> {
    // Twice, because a message that has just come may be answered in the same turn.
    for (let times = 0; times < 2; times++) {
      await turn();
      while (this.#sentLessReceived() > this.#lost || this.#isOpening()) await turn();
    }
  }

  #isOpening(): boolean {
    const { established, transactions } = this.trunkCounts;
    return transactions > 0 && established < 2;
  }

  #sentLessReceived(): number {
    return this.gateways.reduce((sum, { gateway }) => {
      const { messagesOut, messagesIn } = gateway.trunks!.metrics;
      return sum + messagesOut - messagesIn;
    }, 0);
  }

  #list(): void {
    for (const { attach, other } of this.gateways) {
      const gateways = [{ gateway: other!.gateway.id, serviceAddress: '127.0.0.1:1' }];
      attach.command({ gateways });
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
