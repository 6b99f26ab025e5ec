import { expect, it } from 'vitest';
import { leftIn } from './table-sizes.ts';

it('what is left is what has entries, or fewer than none, and is not explained', () => {
  expect(leftIn({ a: 0, b: 2, c: 1, d: -1 }, { c: 'kept', e: 'not there' })).toEqual(['b: 2', 'd: -1']);
});
