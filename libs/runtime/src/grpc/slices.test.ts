import { expect, it } from 'vitest';
import { type Job, runNow, Slices } from './slices.ts';

function* counting(name: string, steps: number, said: string[]): Job<string> {
  for (let i = 0; i < steps; i++) {
    said.push(name);
    yield 10;
  }
  return `${name} done`;
}

it('does no more work in a turn than allowed, and lets a short job overtake a long one', async () => {
  const said: string[] = [];
  const slices = new Slices({ perTurn: 50 });
  const long = slices.run(counting('long', 100, said)).finally(() => said.push('long is over'));
  const short = slices.run(counting('short', 3, said)).finally(() => said.push('short is over'));
  expect(said).toEqual([]);
  let turns = 0;
  const count = (): void => {
    turns++;
    if (slices.size > 0) setImmediate(count);
  };
  setImmediate(count);
  expect(await short).toBe('short done');
  expect(said.filter((one) => one === 'long').length).toBeLessThan(20);
  expect(await long).toBe('long done');
  expect(slices.most).toBeLessThanOrEqual(60);
  expect(turns).toBeGreaterThanOrEqual(20);
  expect(slices.size).toBe(0);
});

it('rejects with the exception of a job, and goes on with the others', async () => {
  const slices = new Slices();
  const failing = slices.run(
    (function* (): Job<void> {
      yield 1;
      throw new Error('no');
    })(),
  );
  const other = slices.run(counting('other', 2, []));
  await expect(failing).rejects.toThrow('no');
  expect(await other).toBe('other done');
  expect(runNow(counting('now', 3, []))).toBe('now done');
});

it('does nothing in turns in which mayWork says no', async () => {
  let mayWork = false;
  const said: string[] = [];
  const slices = new Slices({ mayWork: () => mayWork });
  const one = slices.run(counting('one', 1, said));
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(said).toEqual([]);
  mayWork = true;
  expect(await one).toBe('one done');
});

/** The number of turns until the job is done, which has steps of so many units. */
async function turnsOf(slices: Slices, steps: readonly number[]): Promise<number> {
  let turns = 0;
  const job = slices.run(
    (function* (): Job<void> {
      for (const units of steps) yield units;
    })(),
  );
  while (slices.size > 0) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  await job;
  return turns;
}

it('counts the units of each step, and one for the last: 4096 in a turn, unless a step takes more', async () => {
  const slices = new Slices();
  expect(slices.most).toBe(0);
  expect(await turnsOf(slices, [])).toBe(1);
  expect(slices.most).toBe(1);
  expect(await turnsOf(slices, [4094])).toBe(1);
  expect(slices.most).toBe(4095);
  expect(await turnsOf(slices, [4095])).toBe(1);
  expect(slices.most).toBe(4096);
  expect(await turnsOf(slices, [4096])).toBe(2);
  expect(slices.most).toBe(4096);
  expect(await turnsOf(slices, [5000, 5000])).toBe(3);
  expect(slices.most).toBe(5000);
});

it('runs no further turn when all jobs are done', async () => {
  let asked = 0;
  const slices = new Slices({
    mayWork: () => {
      asked++;
      return true;
    },
  });
  await Promise.all([slices.run(counting('one', 1, [])), slices.run(counting('two', 1, []), 'other')]);
  const before = asked;
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toBe(before);
});
