import { expect, it } from 'vitest';
import { Connections } from './connections.ts';
import { Connection } from './parts.ts';

it('keeps connections by gateway, and nothing of a gateway that has none left', () => {
  const all = new Connections();
  const [one, two, other] = [new Connection('a', 1, null), new Connection('a', 2, null), new Connection('b', 1, null)];
  for (const connection of [one, two, other]) all.add(connection);
  expect([[...all.of('a')], [...all.of('b')], all.size]).toEqual([[one, two], [other], 3]);
  all.remove(one);
  all.remove(other);
  expect([[...all.of('a')], all.size]).toEqual([[two], 1]);
  // An empty array and not an empty set: the gateway's entry is gone.
  expect(all.of('b')).toEqual([]);
});
