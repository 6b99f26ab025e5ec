import { leftIn } from '@spanmesh/runtime/table-sizes';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KEPT } from './core.ts';
import { FakeGateway, pairName, parsePair } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { histories, RandomHistory, unitsPerTurn } from './testing/random-history.fixture.ts';
import { naiveSelection, settle, treeRelays } from './testing/world.fixture.ts';

const names = (pairs: Iterable<string>) => [...pairs].sort();

describe('random histories of three gateways and their leaders', () => {
  it('once quiet, open relays are those of the selection, except for refused ones', () => {
    fc.assert(
      fc.property(histories(300), unitsPerTurn, (events, units) => {
        const history = new RandomHistory(true, units);
        for (const one of events) history.run(one);
        history.heal();
        const wanted = naiveSelection(history.gateways);
        for (const gateway of history.gateways) {
          const open = new Set(gateway.relays.keys());
          expect(names(treeRelays(history.leader, gateway))).toEqual(names(open));
          const should = wanted.get(gateway.id)!;
          // No relay is open that selection does not take; each one that it takes is open, or its peer has refused it.
          expect(names(open.difference(should))).toEqual([]);
          expect(names(should.difference(open).difference(gateway.refused))).toEqual([]);
          for (const pair of open) expect(gateway.refused.has(pair)).toBe(false);
          // Gateways open return paths by themselves, but none remains for a link that is gone.
          for (const pair of gateway.onDemand) {
            const { gateway: owner, link } = parsePair(pair);
            expect(history.gateways.find(({ id }) => id === owner)!.links.has(link)).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('no object is left of connections and gateways that are gone', () => {
    fc.assert(
      fc.property(histories(150), unitsPerTurn, (events, units) => {
        const history = new RandomHistory(true, units);
        for (const one of events) history.run(one);
        history.heal();
        for (const gateway of history.gateways) {
          for (const connection of [...gateway.connections.keys()]) gateway.closeConnection(connection);
        }
        history.heal();
        const { core } = history.leader;
        const there = { gateways: 'they are attached', queues: 'one each', streams: 'one each' };
        expect(leftIn(core.tables(), { ...KEPT, ...there })).toEqual([]);
        history.leader.lose();
        history.leader.finish();
        expect(leftIn(core.tables(), KEPT)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('a refused relay is not offered again while nothing changes', () => {
    fc.assert(
      fc.property(histories(150), fc.nat(1000), unitsPerTurn, (events, choice, units) => {
        const history = new RandomHistory(false, units);
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

  it('a new leader that finds every relay as selected commands nothing', () => {
    fc.assert(
      fc.property(histories(200), unitsPerTurn, (events, units) => {
        const history = new RandomHistory(false, units);
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

  it('a stream that breaks and is opened again causes no command', () => {
    fc.assert(
      fc.property(histories(200), fc.nat(2), unitsPerTurn, (events, index, units) => {
        const history = new RandomHistory(false, units);
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

describe('one relay that is selected, dropped and refused repeatedly, with crossing messages', () => {
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
        // A change of the selection offers the relay again, even if it was refused.
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
