import { expect, it } from 'vitest';
import { kindsOf, LEAF_KINDS } from './leaf-kinds.ts';

const counts = (count: number) => LEAF_KINDS.map((kind) => kindsOf(count).filter((one) => one === kind).length);

it('half of the leafs are of circuit, a third of linkid, and the rest are clients of the API', () => {
  expect(LEAF_KINDS).toEqual(['circuit', 'linkid', 'route']);
  expect([counts(600), counts(7), counts(0)]).toEqual([
    [300, 200, 100],
    [4, 2, 1],
    [0, 0, 0],
  ]);
});
