import { expect, it } from 'vitest';
import { Turns } from './turns.ts';

it('principals take turns, and the entries of each keep their order', () => {
  const turns = new Turns<string>();
  expect([turns.size, turns.take()]).toEqual([0, undefined]);
  for (const one of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) turns.add(one.charAt(0), one);
  expect(turns.size).toBe(6);
  expect(Array.from({ length: 4 }, () => turns.take())).toEqual(['a1', 'b1', 'c1', 'a2']);
  expect(turns.size).toBe(2);
  // One that had no entries left goes to the end of the line.
  turns.add('b', 'b2');
  expect(Array.from({ length: 4 }, () => turns.take())).toEqual(['c2', 'a3', 'b2', undefined]);
  expect(turns.size).toBe(0);
});
