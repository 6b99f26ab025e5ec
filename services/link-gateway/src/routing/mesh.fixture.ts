import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { spanPayload, TestGateway } from '../gateway.fixture.ts';
import { EndNode } from './end-node.fixture.ts';

/** A node with its number of LNK_CONN and the numbers of its spans. */
export interface Member {
  readonly node: EndNode;
  readonly lnkConn: number;
  readonly spans: { readonly tx: Transaction; readonly link: number }[];
}

/** A gateway, nodes, and a topology that relays what the test says. */
export class Mesh {
  readonly gateway: TestGateway;
  readonly members: Member[] = [];

  private constructor(gateway: TestGateway) {
    this.gateway = gateway;
  }

  static async start(env: Record<string, string> = {}): Promise<Mesh> {
    return new Mesh(await TestGateway.start({ env }));
  }

  get counts() {
    return this.gateway.gateway.counts();
  }

  async join(dialect: Dialect): Promise<Member> {
    const { attach } = this.gateway;
    const known = attach.delta.lnkConnsOpened.length;
    const node = await EndNode.connect(this.gateway.port(dialect), dialect);
    const { lnkConnsOpened } = await attach.until((delta) => delta.lnkConnsOpened.length > known);
    const member = { node, lnkConn: lnkConnsOpened[known]!.id, spans: [] };
    await node.barrier();
    this.members.push(member);
    return member;
  }

  async span(member: Member, dist = 1): Promise<{ tx: Transaction; link: number }> {
    const { attach } = this.gateway;
    const known = attach.delta.linksOpened.length;
    const tx = member.node.span(spanPayload(member.node.dialect, 3, dist));
    const { linksOpened } = await attach.until((delta) => delta.linksOpened.length > known);
    const span = { tx, link: linksOpened[known]!.id };
    member.spans.push(span);
    return span;
  }

  /** Has a link relayed to a member; the relay as the member has it. */
  async relay(link: number, to: Member): Promise<Transaction> {
    const known = to.node.relays.length;
    this.gateway.attach.command({ relays: [{ gateway: '', link, open: [to.lnkConn], close: [] }] });
    await to.node.until(() => to.node.relays.length > known);
    return to.node.relays[known]!;
  }

  unrelay(link: number, from: Member): void {
    this.gateway.attach.command({ relays: [{ gateway: '', link, open: [], close: [from.lnkConn] }] });
  }

  /** Everything that the members have sent has arrived where it goes to, as often as they answer each other at once. */
  async settled(rounds = 4): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await Promise.all(this.members.filter(({ node }) => !node.closed).map(({ node }) => node.barrier()));
    }
  }

  async stop(): Promise<void> {
    for (const { node } of this.members) node.destroy();
    await this.gateway.stop();
  }
}
