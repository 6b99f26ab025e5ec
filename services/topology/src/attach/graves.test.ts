import { expect, it } from 'vitest';
import { Graves } from './graves.ts';

// Limits: attach/graves.ts MAX_GRAVES
it('graves keep the newest ids, and none after the term', () => {
  const graves = new Graves({ max: 2 });
  for (const id of ['a', 'b', 'b', 'c']) graves.add(id);
  expect(['a', 'b', 'c'].map((id) => graves.has(id))).toEqual([false, true, true]);
  expect(graves.size).toBe(2);
  graves.clear();
  expect(graves.has('c')).toBe(false);
});
