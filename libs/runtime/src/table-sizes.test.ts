import { expect, it } from 'vitest';
import { leftIn } from './table-sizes.ts';

it('tables count as left over if they have entries, or a negative number of them, without an explanation', () => {
  expect(leftIn({ a: 0, b: 2, c: 1, d: -1 }, { c: 'kept', e: 'not there' })).toEqual(['b: 2', 'd: -1']);
});
