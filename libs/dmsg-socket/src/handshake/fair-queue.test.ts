import { expect, it } from 'vitest';
import { FairQueue, TURNS_PER_JOB } from './fair-queue.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Waits as many turns of the event loop as the queue leaves for each job. */
async function turns(): Promise<void> {
  for (let n = 0; n < TURNS_PER_JOB; n++) await turn();
}

it('does one job every few turns of the event loop, and serves addresses in turn', async () => {
  const queue = new FairQueue();
  const done: string[] = [];
  for (const n of [1, 2, 3]) queue.add('a', () => done.push(`a${n}`));
  for (const n of [1, 2]) queue.add('b', () => done.push(`b${n}`));
  queue.add('c', () => done.push('c1'));
  expect(done).toEqual([]);
  await turn();
  expect(done).toEqual(['a1']);
  for (let n = 1; n < TURNS_PER_JOB; n++) await turn();
  expect(done).toEqual(['a1']);
  await turn();
  expect(done).toEqual(['a1', 'b1']);
  for (let n = 0; n < 4; n++) await turns();
  expect(done).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
});

it('skips cancelled jobs, and goes on when a job adds another', async () => {
  const queue = new FairQueue();
  const done: string[] = [];
  queue.add('a', () => done.push('never')).cancel();
  queue.add('b', () => {
    done.push('b1');
    queue.add('b', () => done.push('b2'));
  });
  await turn();
  expect(done).toEqual(['b1']);
  await turns();
  expect(done).toEqual(['b1', 'b2']);
});
