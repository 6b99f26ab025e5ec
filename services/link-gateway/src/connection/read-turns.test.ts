import { Pool } from '@spanmesh/runtime/shares/pool';
import { expect, it } from 'vitest';
import type { ShareHolder } from '../shares/gateway-shares.ts';
import {
  HANDLED_PER_TURN,
  HANDLED_UNNOTICED,
  READ_PER_TURN_BYTES,
  READ_TURN_MS,
  RESUMED_PER_TURN,
} from '../shares/limits.ts';
import { ReadTurns } from './read-turns.ts';

/** A connection in the pool of all peers for each principal that is named. */
function holdings(...principals: string[]) {
  const pool = new Pool<ShareHolder>(
    { resource: 'connections', total: 100, share: 100 },
    { evict: () => {}, limited: () => {} },
  );
  return principals.map((principal) => pool.open(principal, {} as ShareHolder));
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

it('reads a principal that is alone as fast as it sends', () => {
  const turns = new ReadTurns();
  // Whoever asks must wait for a turn.
  expect([turns.isHigh, turns.waiting]).toEqual([true, 0]);
  const [alone] = holdings('a');
  for (let now = 0; now < 100; now++) expect(turns.took(alone!, READ_PER_TURN_BYTES, 0, now)).toBe(false);
});

// Limits: shares/limits.ts READ_PER_TURN_BYTES
it('lets a principal wait that has had its part of a turn, over all of its connections, while others are read', () => {
  const turns = new ReadTurns();
  const [one, two, other] = holdings('a', 'a', 'b');
  expect(turns.took(other!, 10, 0, 0)).toBe(false);
  expect(turns.took(one!, READ_PER_TURN_BYTES, 0, 1)).toBe(false);
  expect(turns.took(two!, 1, 0, 2)).toBe(true);
  expect(turns.took(other!, 10, 0, READ_TURN_MS - 1)).toBe(false);
  // In the next turn the other principal still counts as read; in the one after that it does not.
  const next = READ_TURN_MS;
  expect(turns.took(two!, READ_PER_TURN_BYTES, 0, next)).toBe(false);
  expect(turns.took(one!, 1, 0, next)).toBe(true);
  expect(turns.took(one!, 2 * READ_PER_TURN_BYTES, 0, next + READ_TURN_MS)).toBe(false);
});

it('begins a new turn after each turn of the event loop in which a connection waited', async () => {
  const turns = new ReadTurns();
  const [one, other] = holdings('a', 'b');
  turns.took(other!, 10, 0, 0);
  expect(turns.took(one!, READ_PER_TURN_BYTES + 1, 0, 0)).toBe(true);
  const again = new Promise<void>((resolve) => turns.onceLow(resolve, 'a'));
  await again;
  expect(turns.took(one!, READ_PER_TURN_BYTES, 0, 0)).toBe(false);
});

// Limits: shares/limits.ts RESUMED_PER_TURN
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

// Limits: shares/limits.ts HANDLED_UNNOTICED
it('looks for the end of a turn of the event loop once more than HANDLED_UNNOTICED messages were handled', async () => {
  const turns = new ReadTurns();
  const [one] = holdings('a');
  turns.took(one!, 10, HANDLED_UNNOTICED, 0);
  await nextTurn();
  // The end of that turn was not looked for: its messages still count.
  expect(turns.took(one!, 10, HANDLED_PER_TURN - HANDLED_UNNOTICED, 0)).toBe(false);
  expect(turns.took(one!, 10, 1, 0)).toBe(true);
  await nextTurn();
  turns.took(one!, 10, HANDLED_UNNOTICED + 1, 0);
  await nextTurn();
  expect(turns.took(one!, 10, HANDLED_PER_TURN, 0)).toBe(false);
});

// Limits: shares/limits.ts HANDLED_PER_TURN
it('handles HANDLED_PER_TURN messages for the gateway itself in a turn of the event loop, even of one principal', async () => {
  const turns = new ReadTurns();
  const [one, two] = holdings('a', 'a');
  // The clock does not end a turn of the event loop, however late it is.
  expect(turns.took(one!, 10, HANDLED_PER_TURN, 0)).toBe(false);
  expect(turns.took(two!, 10, 1, 10 * READ_TURN_MS)).toBe(true);
  expect(turns.took(one!, 10, 1, 20 * READ_TURN_MS)).toBe(true);
  // Reads without messages for the gateway itself go on.
  expect(turns.took(one!, READ_PER_TURN_BYTES, 0, 21 * READ_TURN_MS)).toBe(false);
  const read: string[] = [];
  turns.onceLow(() => read.push('one'), 'a');
  await nextTurn();
  expect(read).toEqual(['one']);
  expect(turns.took(one!, 10, HANDLED_PER_TURN, 30 * READ_TURN_MS)).toBe(false);
});
