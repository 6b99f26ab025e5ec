import { runNow } from '@spanmesh/runtime/grpc/slices';
import { expect, it } from 'vitest';
import { missing } from './snapshot-diff.ts';

const COUNT = 10_000;
/** Numbers looked at for one unit of work. */
const NUMBERS = 16;

it('numbers that the list lacks are found in slices of limited size', () => {
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

it('a listed number is not missing, nor is one that was never held', () => {
  const held = new Map([[1, 'one']]);
  expect(runNow(missing(held, [{ id: 1 }, { id: 2 }], 1))).toEqual([]);
  expect(runNow(missing(held, [], 1))).toEqual(['one']);
});
