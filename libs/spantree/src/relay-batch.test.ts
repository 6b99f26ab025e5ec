import { describe, expect, it } from 'vitest';
import { kept } from './collected.fixture.ts';
import type { Link, LnkConn } from './model/parts.ts';
import { RelayBatch } from './relay-batch.ts';

/** A link with only the field that a batch uses: its ref. */
const link = (ref: number): Link => ({ ref }) as Link;
const lnkConn = (id: number): LnkConn => ({ id }) as LnkConn;

function drained(batch: RelayBatch): [link: number, lnkConn: number][] {
  const pairs: [number, number][] = [];
  batch.drain(({ ref }, { id }) => pairs.push([ref, id]));
  return pairs;
}

describe('a batch of relays', () => {
  it('is handed out by link, in the order of the first pair of each', () => {
    const batch = new RelayBatch();
    const [a, b] = [link(1), link(2)];
    for (const [one, id] of [
      [a, 10],
      [b, 20],
      [a, 11],
      [b, 21],
      [a, 12],
    ] as const)
      batch.add(one, lnkConn(id));
    expect(drained(batch)).toEqual([
      [1, 10],
      [1, 11],
      [1, 12],
      [2, 20],
      [2, 21],
    ]);
    expect(drained(batch)).toEqual([]);
  });

  it('distinguishes its links however many there are, even while it grows', () => {
    const batch = new RelayBatch();
    const refs = [1, 63, 64, 65, 128, 5000];
    const links = refs.map(link);
    for (const id of [1, 2, 3]) for (const one of links) batch.add(one, lnkConn(id));
    expect(drained(batch)).toEqual(refs.flatMap((ref) => [1, 2, 3].map((id) => [ref, id])));
  });

  it('takes new pairs while it is handed out, for the next time', () => {
    const batch = new RelayBatch();
    const one = link(7);
    batch.add(one, lnkConn(1));
    batch.drain(() => {});
    batch.add(one, lnkConn(2));
    batch.add(link(8), lnkConn(3));
    expect(drained(batch)).toEqual([
      [7, 2],
      [8, 3],
    ]);
  });

  it('has none of the pairs that were dropped', () => {
    const batch = new RelayBatch();
    const one = link(7);
    batch.add(link(6), lnkConn(1));
    batch.add(one, lnkConn(2));
    batch.clear();
    expect(drained(batch)).toEqual([]);
    batch.add(one, lnkConn(3));
    expect(drained(batch)).toEqual([[7, 3]]);
  });

  it('forgets which pairs were of one link the last time', () => {
    const batch = new RelayBatch();
    const [a, b] = [link(1), link(2)];
    batch.add(a, lnkConn(10));
    batch.add(a, lnkConn(11));
    batch.drain(() => {});
    batch.add(a, lnkConn(12));
    batch.add(b, lnkConn(13));
    expect(drained(batch)).toEqual([
      [1, 12],
      [2, 13],
    ]);
  });

  it('drops its references when it is cleared', async () => {
    const batch = new RelayBatch();
    const given = await kept(() => {
      const pair = { link: link(1), lnkConn: lnkConn(10) };
      batch.add(pair.link, pair.lnkConn);
      batch.drain(() => {});
      batch.clear();
      return pair;
    });
    expect(given).toEqual([]);
    expect(drained(batch)).toEqual([]);
  });
});
