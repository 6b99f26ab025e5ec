import { Pool } from '@spanmesh/runtime/shares/pool';
import { expect, it } from 'vitest';
import type { ShareHolder } from '../shares/gateway-shares.ts';
import { READ_PER_TURN_BYTES, RESUMED_PER_TURN } from '../shares/limits.ts';
import { ReadTurns } from './read-turns.ts';

function holdings(...principals: string[]) {
  const pool = new Pool<ShareHolder>(
    { resource: 'connections', total: 100, share: 100 },
    { evict: () => {}, limited: () => {} },
  );
  return principals.map((principal) => pool.open(principal, {} as ShareHolder));
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

it('reads who is alone as fast as it sends', () => {
  const turns = new ReadTurns();
  const [alone] = holdings('a');
  for (let i = 0; i < 100; i++) expect(turns.took(alone!, READ_PER_TURN_BYTES)).toBe(false);
});

it('lets a principal wait that has had its part of a turn, over all of its connections, while others are read', async () => {
  const turns = new ReadTurns();
  const [one, two, other] = holdings('a', 'a', 'b');
  expect(turns.took(other!, 10)).toBe(false);
  expect(turns.took(one!, READ_PER_TURN_BYTES)).toBe(false);
  expect(turns.took(two!, 1)).toBe(true);
  expect(turns.took(other!, 10)).toBe(false);
  await nextTurn();
  // The other one may be about to go on.
  expect(turns.took(two!, READ_PER_TURN_BYTES)).toBe(false);
  expect(turns.took(one!, 1)).toBe(true);
});

it('reads a few again in each turn, one principal after the other', async () => {
  const turns = new ReadTurns();
  const read: string[] = [];
  for (let i = 0; i < 3 * RESUMED_PER_TURN; i++) turns.onceLow(() => read.push('greedy'), 'greedy');
  turns.onceLow(() => read.push('honest'), 'honest');
  await nextTurn();
  expect(read).toHaveLength(RESUMED_PER_TURN);
  expect(read).toContain('honest');
  for (let i = 0; i < 3; i++) await nextTurn();
  expect(read).toHaveLength(3 * RESUMED_PER_TURN + 1);
  expect(turns.waiting).toBe(0);
});
