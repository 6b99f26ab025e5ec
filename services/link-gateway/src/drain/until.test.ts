import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { LOOK_MS } from './drain.ts';
import { Until } from './until.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function waiting(limitMs: number, isSo = false) {
  const clock = new FakeClock();
  const world = { isSo, looks: 0, isDone: false };
  const until = new Until(
    () => {
      world.looks++;
      return world.isSo;
    },
    limitMs,
    clock,
  );
  void until.done.then(() => {
    world.isDone = true;
  });
  const after = async (ms: number) => {
    clock.advance(ms);
    await turn();
    return world.isDone;
  };
  return { clock, until, world, after };
}

describe('the wait for a condition', () => {
  it('is over at once if it holds, and nothing is left', async () => {
    const { clock, world, after } = waiting(1000, true);
    expect([await after(0), clock.pending, world.looks]).toEqual([true, 0, 1]);
  });

  it('is over at once if there is no time', async () => {
    const { clock, world, after } = waiting(0);
    expect([await after(0), clock.pending, world.looks]).toEqual([true, 0, 0]);
  });

  it('looks again every LOOK_MS', async () => {
    const { clock, world, after } = waiting(10 * LOOK_MS);
    expect([await after(LOOK_MS - 1), world.looks]).toEqual([false, 1]);
    expect([await after(1), world.looks]).toEqual([false, 2]);
    world.isSo = true;
    expect(await after(LOOK_MS - 1)).toBe(false);
    expect([await after(1), clock.pending]).toEqual([true, 0]);
  });

  it('is over with its time', async () => {
    const { clock, after } = waiting(2 * LOOK_MS + 30);
    expect(await after(2 * LOOK_MS + 29)).toBe(false);
    expect([await after(1), clock.pending]).toEqual([true, 0]);
  });

  it('is over at once when it is hurried', async () => {
    const { clock, until, after } = waiting(1000);
    await after(30);
    until.hurry();
    expect([await after(0), clock.pending]).toEqual([true, 0]);
  });
});
