import { expect, it } from 'vitest';
import { type Flushable, TurnFlush } from './turn-flush.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

it('flushes each once at the end of a turn, and what is queued meanwhile in the next', async () => {
  const flushed: string[] = [];
  const turnFlush = new TurnFlush();
  const other: Flushable = { flush: () => void flushed.push('other') };
  const one: Flushable = {
    flush: () => {
      flushed.push('one');
      turnFlush.later(other);
    },
  };
  turnFlush.later(one);
  turnFlush.later(other);
  expect(flushed).toEqual([]);
  await nextTurn();
  expect(flushed.splice(0)).toEqual(['one', 'other']);
  await nextTurn();
  expect(flushed.splice(0)).toEqual(['other']);
  await nextTurn();
  expect(flushed).toEqual([]);
});
