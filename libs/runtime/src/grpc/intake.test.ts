import { expect, it } from 'vitest';
import { WorkList } from '../work-list.ts';
import { Intake } from './intake.ts';
import type { Job } from './slices.ts';

/** A stream whose work takes a turn each, the turns, and what has happened. */
function taken() {
  const said: string[] = [];
  const turns: (() => void)[] = [];
  const work = new WorkList({ perTurn: 1 }, { later: (turn) => turns.push(turn) });
  const intake = new Intake({ pause: () => said.push('pause'), resume: () => said.push('resume') }, work);
  function* job(name: string): Job<void> {
    said.push(name);
    yield 1;
  }
  return {
    said,
    take: (name: string) => intake.take(job(name)),
    work,
    finish: () => {
      for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
    },
  };
}

it('messages wait for their turn, and from the eighth on the stream is paused until none waits', () => {
  const { said, take, finish } = taken();
  for (let n = 1; n <= 7; n++) take(`${n}`);
  expect(said).toEqual(['1']);
  take('8');
  take('9');
  expect(said).toEqual(['1', 'pause']);
  finish();
  expect(said).toEqual(['1', 'pause', '2', '3', '4', '5', '6', '7', '8', '9', 'resume']);
  said.length = 0;
  for (let n = 1; n <= 8; n++) take(`${n}`);
  finish();
  expect(said).toEqual(['1', 'pause', '2', '3', '4', '5', '6', '7', '8', 'resume']);
});

it('a stream with fewer is neither paused nor resumed', () => {
  const { said, take, finish } = taken();
  for (let n = 1; n <= 20; n++) {
    take(`${n}`);
    finish();
  }
  expect(said).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1}`));
});

it('a message whose work fails waits no longer', () => {
  const { said, take, finish, work } = taken();
  take('first');
  for (let n = 2; n <= 7; n++) take(`${n}`);
  // Eight wait with this one.
  const failing = new Intake({ pause: () => said.push('other pause'), resume: () => {} }, work);
  failing.take(
    (function* (): Job<void> {
      yield 1;
      throw new Error('fails');
    })(),
  );
  expect(finish).toThrow('fails');
  finish();
  expect(said).toEqual(['first', '2', '3', '4', '5', '6', '7']);
});
