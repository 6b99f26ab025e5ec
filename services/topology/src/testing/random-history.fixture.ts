import fc from 'fast-check';
import { FakeGateway, pairName } from './fake-gateway.fixture.ts';
import { FakeLeader } from './fake-leader.fixture.ts';
import { settle } from './world.fixture.ts';

type Pick = (choices: readonly number[]) => number | undefined;

/** The kinds of events, with their weights. The numbers of an event choose among the existing objects. */
const WEIGHTS = {
  connection: 1,
  lnkConn: 2,
  link: 6,
  closeConnection: 1,
  closeLnkConn: 1,
  closeLink: 5,
  refuse: 6,
  onDemand: 4,
  flush: 10,
  up: 16,
  down: 16,
  decide: 12,
  turn: 12,
  break: 1,
  attach: 6,
  restart: 1,
  freeze: 1,
  lead: 3,
  unreachable: 1,
  reachable: 2,
} as const;

/** One event of a history. */
export const event = fc.record({
  what: fc.constantFrom(
    ...(Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]).flatMap((what) =>
      Array<typeof what>(WEIGHTS[what]).fill(what),
    ),
  ),
  gateway: fc.nat(2),
  choice: fc.nat(1000),
  more: fc.nat(1000),
});
/** Units of work in a turn: no limit, or so few that longer jobs are interrupted at every possible place. */
export const unitsPerTurn = fc.constantFrom(1, 20, Number.POSITIVE_INFINITY);
/** Histories long enough that objects are open most of the time. */
export const histories = (maxLength: number) => fc.array(event, { minLength: 60, maxLength, size: 'max' });
export type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** Three gateways and a leader, on which a history of events is played. */
export class RandomHistory {
  readonly gateways = ['a', 'b', 'c'].map((name) => new FakeGateway(name));
  leader: FakeLeader;
  readonly refusals: boolean;
  readonly #unitsPerTurn: number;

  /** `unitsPerTurn`: how much work the leader does in a turn; the turns are events, too. */
  constructor(refusals: boolean, unitsPerTurn: number = Number.POSITIVE_INFINITY) {
    this.refusals = refusals;
    this.#unitsPerTurn = unitsPerTurn;
    this.leader = new FakeLeader({ unitsPerTurn });
    for (const { name, boot } of this.gateways) this.leader.presence.put(name, boot);
    for (const gateway of this.gateways) {
      for (const dialect of ['circuit', 'circuit', 'linkid'] as const) {
        const connection = gateway.openConnection(dialect);
        gateway.openLnkConn(connection);
        gateway.openLink(connection, 1);
      }
    }
    settle(this.leader, this.gateways);
  }

  run({ what, gateway: index, choice, more }: Event): void {
    const gateway = this.gateways[index]!;
    const pick: Pick = (choices) => (choices.length === 0 ? undefined : choices[choice % choices.length]);
    const pickAnd = (choices: Iterable<number>, fn: (id: number) => void) => {
      const id = pick([...choices]);
      if (id !== undefined) fn(id);
    };
    switch (what) {
      case 'connection':
        gateway.openConnection(more % 2 === 0 ? 'circuit' : 'linkid');
        return;
      case 'lnkConn':
        pickAnd(gateway.connections.keys(), (id) => gateway.openLnkConn(id));
        return;
      case 'link':
        pickAnd(gateway.connections.keys(), (id) => gateway.openLink(id, more % 2, (more >> 2) % 3));
        return;
      case 'closeConnection':
        pickAnd(gateway.connections.keys(), (id) => gateway.closeConnection(id));
        return;
      case 'closeLnkConn':
        pickAnd(gateway.lnkConns.keys(), (id) => gateway.closeLnkConn(id));
        return;
      case 'closeLink':
        pickAnd(gateway.links.keys(), (id) => {
          gateway.closeLink(id);
          // Other gateways that have a trunk to this one hear of the loss before topology does.
          if (more % 2 === 0)
            for (const other of this.gateways) if (other !== gateway) other.dropRemote(gateway.id, id);
        });
        return;
      case 'onDemand': {
        // A return path to a link that a message has named (linkid). It ends by itself or with the link.
        const open = [...gateway.onDemand];
        if (more % 4 === 0 && open.length > 0) {
          gateway.closeOnDemand(open[choice % open.length]!);
          return;
        }
        const owner = this.gateways[more % 3]!;
        const isLinkid = (connection: number, of: FakeGateway) => of.connections.get(connection)!.dialect === 'linkid';
        const links = [...owner.links].filter(([, { connection }]) => isLinkid(connection, owner));
        const lnkConns = [...gateway.lnkConns].filter(([, { connection }]) => isLinkid(connection, gateway));
        if (links.length === 0 || lnkConns.length === 0) return;
        const pair = pairName(owner.id, links[choice % links.length]![0], lnkConns[choice % lnkConns.length]![0]);
        if (!gateway.relays.has(pair) && !gateway.onDemand.has(pair)) gateway.openOnDemand(pair);
        return;
      }
      case 'refuse': {
        const pairs = [...gateway.relays.keys()];
        if (this.refusals && pairs.length > 0) gateway.refuse(pairs[choice % pairs.length]!);
        return;
      }
      case 'flush':
        gateway.flush();
        return;
      case 'up':
        gateway.deliverUp();
        return;
      case 'down':
        gateway.deliverDown();
        return;
      case 'decide':
        this.leader.core.flush();
        return;
      case 'turn':
        this.leader.turn();
        return;
      case 'break':
        gateway.disconnect();
        return;
      case 'attach':
        if (gateway.stream === undefined || gateway.stream.over) gateway.connect(this.leader);
        return;
      case 'restart':
        this.restart();
        return;
      case 'freeze':
        this.leader.freeze();
        return;
      case 'lead':
        this.leader.lead();
        return;
      case 'unreachable':
        gateway.reach(this.gateways[(index + 1) % 3]!.id, false);
        return;
      case 'reachable':
        gateway.reach(this.gateways[(index + 1) % 3]!.id, true);
        return;
    }
  }

  /** Lets another replica take over. */
  restart(): void {
    const { presence, clock, lease } = this.leader;
    for (const gateway of this.gateways) gateway.disconnect();
    this.leader = new FakeLeader({ epoch: lease.epoch + 1, presence, clock, unitsPerTurn: this.#unitsPerTurn });
  }

  heal(): void {
    this.leader.lead();
    for (const gateway of this.gateways) if (!gateway.live) gateway.disconnect();
    settle(this.leader, this.gateways);
  }
}
