import type { RelaySource } from '@spanmesh/link-gateway/peers/peer';
import type { Link } from '@spanmesh/spantree/tree';
import { pairName } from '@spanmesh/topology/testing/fake-gateway.fixture';
import { FakeLeader } from '@spanmesh/topology/testing/fake-leader.fixture';
import fc from 'fast-check';
import { type ModelConnection, ModelGateway } from './attach-gateway.fixture.ts';

/** What happens, with its weight. */
const WEIGHTS = {
  connection: 1,
  lnkConn: 2,
  link: 6,
  closeConnection: 1,
  closeLnkConn: 1,
  closeLink: 4,
  refuse: 4,
  back: 3,
  release: 1,
  press: 1,
  relieve: 2,
  flush: 10,
  up: 16,
  down: 16,
  decide: 12,
  break: 1,
  attach: 7,
  newLeader: 1,
  freeze: 1,
  lead: 3,
  unreachable: 1,
  reachable: 2,
  trunk: 1,
  untrunk: 1,
  reboot: 1,
  silence: 1,
  sign: 3,
  busAway: 1,
  busBack: 3,
  tick: 3,
  tickLong: 1,
} as const;
type What = keyof typeof WEIGHTS;
const ALL = (Object.keys(WEIGHTS) as What[]).flatMap((what) => Array<What>(WEIGHTS[what]).fill(what));

export const event = fc.record({
  what: fc.constantFrom(...ALL),
  gateway: fc.nat(2),
  choice: fc.nat(1000),
  more: fc.nat(1000),
});
export type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

const SETTLE_ROUNDS = 400;
const NAMES = ['a', 'b', 'c'] as const;

/** Three gateways and a leader, on which events are played. */
export class AttachWorld {
  readonly gateways: ModelGateway[];
  leader = new FakeLeader();
  /** Without a bus that all share there is no registry, and the leader hears its own signs of life only. */
  readonly #hasBus: boolean;
  #boots = 0;

  constructor({ hasBus }: { hasBus: boolean }) {
    this.#hasBus = hasBus;
    this.gateways = NAMES.map((name) => this.#furnished(name));
    for (const gateway of this.gateways) this.#sign(gateway);
    this.settle();
  }

  run({ what, gateway: index, choice, more }: Event): void {
    const gateway = this.#gateway(index);
    const other = this.#gateway(index + 1 + (more % 2));
    const pick = <T>(all: Iterable<T>, fn: (one: T) => void): void => {
      const list = [...all];
      const one = list[choice % Math.max(1, list.length)];
      if (one !== undefined) fn(one);
    };
    switch (what) {
      case 'connection':
        gateway.openConnection(more % 2 === 0 ? 'circuit' : 'linkid');
        return;
      case 'lnkConn':
        pick(gateway.connections.values(), (one) => gateway.openLnkConn(one));
        return;
      case 'link':
        pick(gateway.connections.values(), (one) => gateway.openLink(one, more % 2, (more >> 2) % 3));
        return;
      case 'closeConnection':
        pick(gateway.connections.values(), (one) => gateway.closeConnection(one));
        return;
      case 'closeLnkConn':
        pick(gateway.tables.lnkConns.values(), (one) => gateway.closeLnkConn(one));
        return;
      case 'closeLink':
        pick(gateway.links.values(), (one) => gateway.closeLink(one));
        return;
      case 'refuse':
        pick(gateway.wire(), (one) => gateway.refuse(one));
        return;
      case 'back':
        this.#back(gateway, choice, more);
        return;
      case 'release':
        if (gateway.backs.length > 0) gateway.releaseBack(choice);
        return;
      case 'press':
      case 'relieve':
        pick(gateway.connections.values(), (one) => gateway.press(one, what === 'press'));
        return;
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
      case 'break':
        gateway.disconnect();
        return;
      case 'attach':
        if (this.#isLost(gateway)) gateway.connect(this.leader);
        return;
      case 'newLeader':
        this.#newLeader();
        return;
      case 'freeze':
        this.leader.freeze();
        return;
      case 'lead':
        this.leader.lead();
        return;
      case 'unreachable':
        if (gateway.peers.has(other.id)) gateway.reach(other.id, false);
        return;
      case 'reachable':
        for (const one of [...gateway.unreachable]) gateway.reach(one, true);
        return;
      case 'trunk':
      case 'untrunk':
        gateway.trunk(other.id, what === 'trunk');
        other.trunk(gateway.id, what === 'trunk');
        return;
      case 'reboot':
        if (more % 3 === 0) this.#reboot(index, more % 2 === 0);
        return;
      case 'silence':
        this.leader.presence.silence(gateway.name);
        return;
      case 'sign':
        this.#sign(gateway);
        return;
      case 'busAway':
        this.leader.presence.flowingSince = null;
        return;
      case 'busBack':
        this.leader.presence.flowingSince ??= this.leader.clock.now();
        return;
      case 'tick':
        this.leader.clock.advance(700);
        return;
      case 'tickLong':
        this.leader.clock.advance(5100);
        return;
    }
  }

  /** Ends every fault, and delivers all messages, until nothing changes any more. */
  heal(): void {
    const { presence, clock } = this.leader;
    presence.flowingSince ??= clock.now();
    for (const gateway of this.gateways) {
      this.#sign(gateway);
      for (const connection of gateway.connections.values()) gateway.press(connection, false);
    }
    this.leader.lead();
    for (const gateway of this.gateways) if (!gateway.live) gateway.disconnect();
    this.settle();
    // A dead gateway is declared dead.
    for (let second = 0; second < 12; second++) {
      clock.advance(1000);
      this.settle();
    }
    for (const gateway of this.gateways) {
      for (const other of [...gateway.unreachable]) gateway.reach(other, true);
      for (const connection of gateway.connections.values()) gateway.press(connection, false);
    }
    this.settle();
  }

  settle(): void {
    for (let round = 0; round < SETTLE_ROUNDS; round++) {
      let moved = false;
      for (const gateway of this.gateways) {
        if (this.#isLost(gateway)) {
          gateway.connect(this.leader);
          moved = true;
        }
        gateway.flush();
        while (gateway.deliverUp()) moved = true;
        while (gateway.deliverDown()) moved = true;
      }
      this.leader.core.flush();
      // A gateway that must wait (its name is taken, or a gateway that it names has not attached yet) waits until time
      // passes.
      if (!moved && this.gateways.every((gateway) => gateway.hasReadAll)) return;
      if (round > SETTLE_ROUNDS / 4) this.leader.clock.advance(1000);
    }
    throw new Error('never quiet');
  }

  /** The faults that are found after all messages have arrived. */
  faults(): string[] {
    const found: string[] = [];
    const { state, roster, graves, presence } = { ...this.leader.core, presence: this.leader.presence };
    const ids = this.gateways.map(({ id }) => id);
    const same = (what: string, are: Iterable<string>, should: Iterable<string>): void => {
      const [is, wanted] = [[...are].sort().join(' '), [...should].sort().join(' ')];
      if (is !== wanted) found.push(`${what}: ${is}; should be ${wanted}`);
    };
    same('gateways', state.gateways.keys(), ids);
    if (roster.size !== ids.length || [...roster.silent()].length > 0) found.push(`roster: ${roster.size}`);
    for (const id of ids) if (graves.has(id)) found.push(`${id} lives, and is in a grave`);
    if (this.#hasBus)
      same(
        'registry',
        presence.gateways().map(({ name, boot }) => `${name}.${boot}`),
        ids,
      );
    const wanted = this.#selection();
    for (const gateway of this.gateways) this.#faultsOf(gateway, wanted.get(gateway) ?? new Set(), found, same);
    const links = this.gateways.reduce((sum, gateway) => sum + gateway.links.size, 0);
    if (state.trees.tree.counts.links !== links)
      found.push(`links: ${state.trees.tree.counts.links}; should be ${links}`);
    return found;
  }

  #faultsOf(
    gateway: ModelGateway,
    should: ReadonlySet<string>,
    found: string[],
    same: (what: string, are: Iterable<string>, should: Iterable<string>) => void,
  ): void {
    const { id, tables } = gateway;
    const known = this.leader.core.state.gateways.get(id);
    if (known === undefined) return;
    const nameOf = (source: RelaySource): string => `${source.gateway === '' ? id : source.gateway}:${source.link}`;
    const exists = new Set(this.gateways.flatMap((one) => [...one.links.keys()].map((link) => `${one.id}:${link}`)));
    const wire = new Set<string>();
    for (const { source, lnkConn, wanted } of gateway.wire()) {
      if (!exists.has(nameOf(source))) found.push(`${id}: a relay of ${nameOf(source)}, which is gone`);
      if (wanted) wire.add(`${nameOf(source)}>${lnkConn.id}`);
    }
    if (gateway.strays > 0) found.push(`${id}: ${gateway.strays} transactions of nobody`);
    const refused = new Set<string>();
    for (const lnkConn of tables.lnkConns.values()) {
      for (const source of lnkConn.refused ?? []) refused.add(`${nameOf(source)}>${lnkConn.id}`);
    }
    const tree = new Set<string>();
    const shown = new Set<string>();
    const name = (link: Link, lnkConn: number): string => pairName(link.connection.gateway, link.id, lnkConn);
    for (const lnkConn of known.lnkConns.values()) {
      for (const link of lnkConn.relays()) tree.add(name(link, lnkConn.id));
      const { onDemand } = lnkConn.data as { onDemand: Set<Link> | undefined };
      for (const link of onDemand ?? []) shown.add(name(link, lnkConn.id));
    }
    const demand = gateway.wire().filter(({ wanted }) => !wanted);
    same(`${id}: the tree has`, tree, wire);
    same(
      `${id}: open`,
      wire,
      [...should].filter((pair) => wire.has(pair) || !refused.has(pair)),
    );
    same(
      `${id}: shown on demand`,
      shown,
      demand.map(({ source, lnkConn }) => `${nameOf(source)}>${lnkConn.id}`),
    );
    same(`${id}: unreachable by the tree`, this.leader.core.state.trees.tree.unreachableFrom(id), gateway.unreachable);
    same(
      `${id}: peers`,
      gateway.peers,
      this.gateways.flatMap((one) => (one === gateway ? [] : [one.id])),
    );
    const sources = [...tables.remoteLinks.values()].flatMap((links) => [...links.values()]);
    const knows = [...(known.knows?.links() ?? [])].map((link) => `${link.connection.gateway}:${link.id}`);
    same(`${id}: known by topology`, knows, sources.map(nameOf));
    for (const source of sources) if (!exists.has(nameOf(source))) found.push(`${id} remembers ${nameOf(source)}`);
    if (known.knows?.waitingCount !== 0) found.push(`${id}: ${known.knows?.waitingCount} links wait`);
    if (known.inFlight.pairs > 0) found.push(`${id}: ${known.inFlight.pairs} pairs are in flight`);
    if (!known.commanded) found.push(`${id} is not commanded`);
  }

  /** The relays that should be open (architecture.md, "Relay selection"), computed from scratch. */
  #selection(): Map<ModelGateway, Set<string>> {
    const all = this.gateways.flatMap((owner) => [...owner.links.values()].map((one) => ({ ...one, owner })));
    const wanted = new Map<ModelGateway, Set<string>>();
    for (const gateway of this.gateways) {
      const pairs = new Set<string>();
      wanted.set(gateway, pairs);
      for (const connection of gateway.connections.values()) {
        const { dialect } = connection;
        const usable = all.filter(
          (one) => one.connection.dialect === dialect && !gateway.unreachable.has(one.owner.id),
        );
        for (const node of new Set(usable.map((one) => one.node))) {
          const walk = usable
            .filter((one) => one.node === node)
            .sort(
              (x, y) =>
                x.dist - y.dist ||
                x.link.stamp - y.link.stamp ||
                (x.owner.id < y.owner.id ? -1 : x.owner.id > y.owner.id ? 1 : x.link.id - y.link.id),
            );
          const stop = walk.findIndex((one) => one.connection === connection);
          const taken = walk.slice(0, stop < 0 ? walk.length : stop).slice(0, dialect === 'linkid' ? 2 : 1);
          for (const lnkConn of connection.lnkConns) {
            for (const { owner, link } of taken) pairs.add(pairName(owner.id, link.id, lnkConn.id));
          }
        }
      }
    }
    return wanted;
  }

  #gateway(index: number): ModelGateway {
    const gateway = this.gateways[index % NAMES.length];
    if (gateway === undefined) throw new Error('no such gateway');
    return gateway;
  }

  #isLost(gateway: ModelGateway): boolean {
    return gateway.stream === undefined || gateway.stream.over || gateway.leader !== this.leader;
  }

  #furnished(name: string): ModelGateway {
    const gateway = new ModelGateway(name, (++this.#boots).toString(16).padStart(8, '0'));
    gateway.onRenamed = (before) => {
      this.#endTrunks(before);
      // The leader may have removed the entry of the old boot from the registry again.
      this.leader.presence.signsEnd(before);
      if (this.#hasBus) this.#sign(gateway);
    };
    for (const dialect of ['circuit', 'circuit', 'linkid', 'linkid'] as const) {
      const connection = gateway.openConnection(dialect);
      gateway.openLnkConn(connection);
      gateway.openLink(connection, 1, 0);
    }
    return gateway;
  }

  #endTrunks(id: string): void {
    for (const gateway of this.gateways ?? []) if (gateway.established.has(id)) gateway.trunk(id, false);
  }

  #sign({ name, boot }: ModelGateway): void {
    if (!this.#hasBus) return;
    this.leader.presence.silence(name);
    this.leader.presence.put(name, boot);
  }

  #reboot(index: number, registers: boolean): void {
    const old = this.#gateway(index);
    old.disconnect();
    this.leader.presence.silence(old.name);
    // The leader may have removed the gateway's entry from the registry again; its process is gone in any case.
    this.leader.presence.signsEnd(old.id);
    const young = this.#furnished(old.name);
    this.gateways[index % NAMES.length] = young;
    this.#endTrunks(old.id);
    if (registers) this.#sign(young);
  }

  #newLeader(): void {
    const { presence, clock, lease } = this.leader;
    this.leader.freeze();
    presence.listeners.length = 0;
    // Without a bus the fixed topology has been restarted: its streams have ended.
    if (!this.#hasBus) for (const gateway of this.gateways) gateway.disconnect();
    this.leader = new FakeLeader({ epoch: lease.epoch + 1, presence, clock });
  }

  /** linkid: a message over a link is answered over a relay of it. */
  #back(gateway: ModelGateway, choice: number, more: number): void {
    const owner = this.#gateway(more);
    const isLinkid = ({ dialect }: ModelConnection) => dialect === 'linkid';
    const links = [...owner.links.values()].filter(({ connection }) => isLinkid(connection));
    const link = links[choice % Math.max(1, links.length)];
    const connections = [...gateway.connections.values()].filter((one) => isLinkid(one) && one !== link?.connection);
    const connection = connections[(choice >> 3) % Math.max(1, connections.length)];
    if (link !== undefined && connection !== undefined) gateway.useBack(owner, link, connection);
  }
}
