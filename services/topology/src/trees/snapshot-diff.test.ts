import { runNow } from '@spanmesh/runtime/grpc/slices';
import { expect, it } from 'vitest';
import { missing } from './snapshot-diff.ts';

const COUNT = 10_000;
/** Numbers that a unit is worth. */
const NUMBERS = 16;

it('what is missing in a list is found in slices, of so many numbers each', () => {
  let looked = 0;
  const listed = Array.from({ length: COUNT }, (_, i) => ({
    get id() {
      looked++;
      return 2 * i;
    },
  }));
  const held = new Map(Array.from({ length: COUNT }, (_, i) => [i, `${i}`] as const));
  const finding = missing(held, listed, 10);
  let before = 0;
  let slices = 0;
  for (let step = finding.next(); ; step = finding.next()) {
    expect(looked - before).toBeLessThanOrEqual(10 * NUMBERS);
    before = looked;
    if (step.done === true) {
      expect(step.value).toHaveLength(COUNT / 2);
      break;
    }
    expect(step.value).toBe(10);
    slices++;
  }
  expect(slices).toBe((2 * COUNT) / (10 * NUMBERS));
});

it('nothing is, of what is listed and of what was never held', () => {
  const held = new Map([[1, 'one']]);
  expect(runNow(missing(held, [{ id: 1 }, { id: 2 }], 1))).toEqual([]);
  expect(runNow(missing(held, [], 1))).toEqual(['one']);
});
