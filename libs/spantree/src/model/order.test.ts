import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareLinks, insertLink, removeLink } from './order.ts';
import type { Link } from './parts.ts';

interface Rank {
  readonly dist: number;
  readonly rnss: number;
  readonly suspect: boolean;
  readonly stamp: number;
  readonly gateway: string;
  readonly id: number;
}

function link({ dist, rnss, suspect, stamp, gateway, id }: Rank): Link {
  return { dist, rnss, id, connection: { suspect, gateway }, span: { stamp } } as unknown as Link;
}

const first: Rank = { dist: 1, rnss: 1, suspect: false, stamp: 1, gateway: 'b', id: 1 };

it.each<Partial<Rank>>([{ dist: 2 }, { rnss: 2 }, { suspect: true }, { stamp: 2 }, { gateway: 'c' }, { id: 2 }])(
  'a link ranks behind one that differs by %j, whatever the criteria after that one say',
  (worse) => {
    const keys = Object.keys(first);
    const after = keys.slice(keys.indexOf(Object.keys(worse)[0] ?? '') + 1);
    // All criteria that count less speak for the worse link.
    const best = { dist: 0, rnss: 0, suspect: false, stamp: 0, gateway: 'a', id: 0 };
    const better = Object.fromEntries(Object.entries(best).filter(([key]) => after.includes(key)));
    const [a, b] = [link(first), link({ ...first, ...better, ...worse })];
    expect(compareLinks(a, b)).toBeLessThan(0);
    expect(compareLinks(b, a)).toBeGreaterThan(0);
    expect(compareLinks(a, link(first))).toBe(0);
  },
);

it('links are in order whatever is inserted and removed, even links of equal rank', () => {
  const ranks = fc.record({
    dist: fc.nat(2),
    rnss: fc.nat(1),
    suspect: fc.boolean(),
    stamp: fc.nat(1),
    gateway: fc.constantFrom('a', 'b'),
    id: fc.nat(1),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(ranks, fc.nat()), { maxLength: 40 }), (steps) => {
      const links: Link[] = [];
      const there = new Set<Link>();
      for (const [rank, pick] of steps) {
        const one = link(rank);
        insertLink(links, one);
        there.add(one);
        if (pick % 3 !== 0) continue;
        const gone = [...there][pick % there.size]!;
        removeLink(links, gone);
        there.delete(gone);
      }
      // Compared by identity: links of equal rank look alike.
      expect(links.every((one) => there.has(one))).toBe(true);
      expect([links.length, new Set(links).size]).toEqual([there.size, there.size]);
      for (let i = 1; i < links.length; i++) expect(compareLinks(links[i - 1]!, links[i]!)).toBeLessThanOrEqual(0);
    }),
  );
});
