import { SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { uuid } from '../testing/payloads.fixture.ts';
import { InFlight } from './in-flight.ts';

function links() {
  const tree = new SpanTree();
  const owner = tree.addConnection('a', 1);
  const add = (id: number) =>
    tree.addLink(owner, id, {
      dialect: 'circuit',
      clusterId: uuid(1),
      nodeId: uuid(id),
      peerType: 1,
      peerLabel: '',
      label: '',
      dist: 0,
      rnss: 0,
      stamp: id,
    });
  return [add(1), add(2)] as const;
}

describe('commands under way', () => {
  it('are remembered until the gateway has obeyed them', () => {
    const [first, second] = links();
    const inFlight = new InFlight();
    inFlight.note(3, first, [10, 11]);
    inFlight.note(5, second, [10]);
    inFlight.note(7, first, [10]);
    expect(inFlight.last(first, 10)).toBe(7);
    expect(inFlight.last(first, 11)).toBe(3);
    expect([inFlight.pairs, inFlight.links]).toEqual([4, 2]);

    inFlight.obeyed(5);
    // The later command for the pair is still under way.
    expect(inFlight.last(first, 10)).toBe(7);
    expect(inFlight.last(first, 11)).toBe(0);
    expect(inFlight.last(second, 10)).toBe(0);

    inFlight.obeyed(7);
    expect(inFlight.last(first, 10)).toBe(0);
    expect([inFlight.pairs, inFlight.links]).toEqual([0, 0]);
  });

  it('are forgotten when they are obeyed, however many there were', () => {
    const [link] = links();
    const inFlight = new InFlight();
    for (let n = 1; n <= 10_000; n++) {
      inFlight.note(n, link, [n % 7]);
      inFlight.obeyed(n - 3);
      expect(inFlight.pairs).toBeLessThanOrEqual(3);
    }
    inFlight.clear();
    expect([inFlight.last(link, 10_000 % 7), inFlight.pairs, inFlight.links]).toEqual([0, 0, 0]);
    // Commands noted before `clear` do not count afterwards.
    inFlight.note(20_000, link, [1]);
    inFlight.obeyed(10_000);
    expect([inFlight.last(link, 1), inFlight.pairs]).toEqual([20_000, 1]);
  });
});
