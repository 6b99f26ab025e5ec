import { describe, expect, it } from 'vitest';
import type { Step } from './plan.ts';
import { shrink } from './shrink.ts';

const step = (peer: number): Step => ({ atMs: peer, forMs: 1, fault: { kind: 'withdraw', peer, nth: 0 } });
const peersOf = (schedule: readonly (readonly Step[])[]) =>
  schedule.map((steps) => steps.map(({ fault }) => ('peer' in fault ? fault.peer : -1)));

describe('shrinking', () => {
  it('leaves only the steps that the failure needs', async () => {
    const schedule = [0, 1, 2, 3].map((round) => Array.from({ length: 8 }, (_, i) => step(round * 8 + i)));
    const small = await shrink(schedule, async (candidate) => {
      const all = peersOf(candidate).flat();
      return all.includes(19) && all.includes(27);
    });
    expect(peersOf(small)).toEqual([[19], [27]]);
  });

  it('begins with the last round alone', async () => {
    const tried: number[] = [];
    await shrink([[step(1)], [step(2)], [step(3)]], async (candidate) => {
      tried.push(candidate.length);
      return candidate.length === 1;
    });
    expect(tried[0]).toBe(1);
  });

  it('gives up after a number of runs', async () => {
    let runs = 0;
    const schedule = [Array.from({ length: 100 }, (_, i) => step(i))];
    const small = await shrink(
      schedule,
      async () => {
        runs++;
        return false;
      },
      { mostRuns: 9 },
    );
    expect([runs, small]).toEqual([9, schedule]);
  });
});
