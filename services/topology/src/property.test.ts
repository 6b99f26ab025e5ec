import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeGateway, FakeLeader, naiveSelection, pairName, parsePair, settle, treeRelays } from './world.fixture.ts';

type Pick = (choices: readonly number[]) => number | undefined;

/** What happens, with its weight; numbers choose among what there is. */
const WEIGHTS = {
  connection: 1,
  lnkConn: 2,
  link: 6,
  closeConnection: 1,
  closeLnkConn: 1,
  closeLink: 5,
  refuse: 6,
  flush: 10,
  up: 16,
  down: 16,
  decide: 12,
  break: 1,
  attach: 6,
  restart: 1,
  freeze: 1,
  lead: 3,
  unreachable: 1,
  reachable: 2,
} as const;

const event = fc.record({
  what: fc.constantFrom(
    ...(Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]).flatMap((what) =>
      Array<typeof what>(WEIGHTS[what]).fill(what),
    ),
  ),
  gateway: fc.nat(2),
  choice: fc.nat(1000),
  more: fc.nat(1000),
});
/** Long enough that something is open most of the time. */
const histories = (maxLength: number) => fc.array(event, { minLength: 60, maxLength, size: 'max' });
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

class History {
  readonly gateways = ['a', 'b', 'c'].map((name) => new FakeGateway(name));
  leader = new FakeLeader();
  readonly refusals: boolean;

  constructor(refusals: boolean) {
    this.refusals = refusals;
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
          // Loss is local: gateways that have a trunk to this one hear of it before topology does.
          if (more % 2 === 0)
            for (const other of this.gateways) if (other !== gateway) other.dropRemote(gateway.id, id);
        });
        return;
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

  /** Another replica takes over. */
  restart(): void {
    const { presence, clock, lease } = this.leader;
    for (const gateway of this.gateways) gateway.disconnect();
    this.leader = new FakeLeader({ epoch: lease.epoch + 1, presence, clock });
  }

  heal(): void {
    this.leader.lead();
    for (const gateway of this.gateways) if (!gateway.live) gateway.disconnect();
    settle(this.leader, this.gateways);
  }
}

const names = (pairs: Iterable<string>) => [...pairs].sort();

describe('random histories of three gateways and their leaders', () => {
  it('once quiet, relays are what selection takes, less what peers refused', () => {
    fc.assert(
      fc.property(histories(300), (events) => {
        const history = new History(true);
        for (const one of events) history.run(one);
        history.heal();
        const wanted = naiveSelection(history.gateways);
        for (const gateway of history.gateways) {
          const open = new Set(gateway.relays.keys());
          expect(names(treeRelays(history.leader, gateway))).toEqual(names(open));
          const should = wanted.get(gateway.id)!;
          // No relay that selection does not take, and each that it takes is open or refused by its peer.
          expect(names(open.difference(should))).toEqual([]);
          expect(names(should.difference(open).difference(gateway.refused))).toEqual([]);
          for (const pair of open) expect(gateway.refused.has(pair)).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a relay that was refused is not offered again while nothing changes', () => {
    fc.assert(
      fc.property(histories(150), fc.nat(1000), (events, choice) => {
        const history = new History(false);
        for (const one of events) history.run(one);
        history.heal();
        const gateway = history.gateways[choice % 3]!;
        const pairs = [...gateway.relays.keys()];
        if (pairs.length === 0) return;
        const pair = pairs[choice % pairs.length]!;
        gateway.refuse(pair);
        settle(history.leader, history.gateways);
        gateway.disconnect();
        settle(history.leader, history.gateways);
        history.restart();
        history.heal();
        expect(gateway.refused.has(pair)).toBe(true);
        expect(gateway.relays.has(pair)).toBe(false);
        expect(gateway.lnkConns.has(parsePair(pair).lnkConn)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('a new leader that finds everything as it should be commands nothing', () => {
    fc.assert(
      fc.property(histories(200), (events) => {
        const history = new History(false);
        for (const one of events) history.run(one);
        history.heal();
        history.restart();
        const before = history.gateways.map(({ opens, closes, relays }) => ({ opens, closes, relays: relays.size }));
        history.heal();
        const after = history.gateways.map(({ opens, closes, relays }) => ({ opens, closes, relays: relays.size }));
        expect(after).toEqual(before);
      }),
      { numRuns: 150 },
    );
  });

  it('a stream that breaks and comes back causes no command either', () => {
    fc.assert(
      fc.property(histories(200), fc.nat(2), (events, index) => {
        const history = new History(false);
        for (const one of events) history.run(one);
        history.heal();
        const gateway = history.gateways[index]!;
        const before = history.gateways.map(({ opens, closes }) => ({ opens, closes }));
        gateway.disconnect();
        history.leader.core.flush();
        settle(history.leader, history.gateways);
        expect(history.gateways.map(({ opens, closes }) => ({ opens, closes }))).toEqual(before);
      }),
      { numRuns: 100 },
    );
  });
});

describe('one relay that is chosen, dropped and refused over and over, with everything crossing', () => {
  const step = fc.oneof(
    { weight: 60, arbitrary: fc.constantFrom('better', 'refuse', 'up', 'upAndDecide', 'upAndDecide', 'down') },
    { weight: 1, arbitrary: fc.constant('break') },
  );

  it.each(['linkid', 'circuit'] as const)('gateway and leader agree in the end (%s)', (dialect) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 200, size: 'max' }), (steps) => {
        const leader = new FakeLeader();
        const gateway = new FakeGateway('a');
        leader.presence.put('a', gateway.boot);
        const [peer, near, far] = [1, 2, 3].map(() => gateway.openConnection(dialect)) as [number, number, number];
        const lnkConn = gateway.openLnkConn(peer);
        gateway.openLink(far, 1, 5);
        gateway.openLink(far, 1, 6);
        settle(leader, [gateway]);
        let better: number | undefined;
        for (const one of steps) {
          if (one === 'better') {
            if (better === undefined) better = gateway.openLink(near, 1, 1);
            else gateway.closeLink(better);
            if (!gateway.links.has(better)) better = undefined;
          } else if (one === 'refuse') {
            for (const pair of [...gateway.relays.keys()].slice(0, 1)) gateway.refuse(pair);
          } else if (one === 'down') gateway.deliverDown();
          else if (one === 'break') gateway.connect(leader);
          else {
            gateway.deliverUp();
            if (one === 'upAndDecide') leader.core.flush();
          }
          if (one === 'better' || one === 'refuse') gateway.flush();
        }
        if (!gateway.live) gateway.disconnect();
        settle(leader, [gateway]);
        const should = naiveSelection([gateway]).get(gateway.id)!;
        const open = new Set(gateway.relays.keys());
        expect(names(treeRelays(leader, gateway))).toEqual(names(open));
        expect(names(should.difference(open).difference(gateway.refused))).toEqual([]);
        expect(names(open.difference(should))).toEqual([]);
        // Whatever was refused: a change of the selection brings it back.
        const best = gateway.openLink(near, 1, 0);
        settle(leader, [gateway]);
        expect(gateway.relays.has(pairName(gateway.id, best, lnkConn))).toBe(true);
        gateway.closeLink(best);
        settle(leader, [gateway]);
        expect(names(gateway.relays.keys())).toEqual(names(should));
        expect(gateway.needless).toBe(0);
      }),
      { numRuns: 400 },
    );
  });
});
