import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Load, MAX_LAG_MS } from './load.ts';
import { Requester } from './requester.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('gives each requester its turn, at the rate, and makes up for little after a pause', () => {
  let nowMs = 0;
  const now = (): number => nowMs;
  const runs = [0, 0, 0];
  const requesters = runs.map((_, number) => {
    const counts = { ok: 0, lost: 0, errors: 0 };
    const requester = new Requester({ number }, { random: () => 0, now, counts, isTarget: () => false });
    vi.spyOn(requester, 'run').mockImplementation(() => {
      runs[number]!++;
      return true;
    });
    return requester;
  });
  const load = new Load({ ratePerPeer: 10 }, { requesters, now });
  load.start();
  for (let i = 0; i < 50; i++) {
    nowMs += 20;
    vi.advanceTimersByTime(20);
  }
  // Sums of fractions may be slightly too small.
  expect(runs.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(29);
  expect(Math.max(...runs) - Math.min(...runs)).toBeLessThanOrEqual(1);
  const before = runs.reduce((sum, n) => sum + n, 0);
  nowMs += 60_000;
  vi.advanceTimersByTime(20);
  expect(runs.reduce((sum, n) => sum + n, 0) - before).toBeLessThanOrEqual(7);
  load.stop();
  nowMs += 1000;
  vi.advanceTimersByTime(1000);
  expect(runs.reduce((sum, n) => sum + n, 0) - before).toBeLessThanOrEqual(7);
});

// Limits: sim/load.ts MAX_LAG_MS
it.each([
  [MAX_LAG_MS - 1, MAX_LAG_MS - 1],
  [MAX_LAG_MS, MAX_LAG_MS],
  [MAX_LAG_MS + 1, MAX_LAG_MS],
])('after the process was busy for %i ms, makes up for %i ms of transactions', (busyMs, madeUpMs) => {
  let nowMs = 0;
  const now = (): number => nowMs;
  const counts = { ok: 0, lost: 0, errors: 0 };
  const requester = new Requester({ number: 0 }, { random: () => 0, now, counts, isTarget: () => false });
  const run = vi.spyOn(requester, 'run').mockReturnValue(true);
  const load = new Load({ ratePerPeer: 1000 }, { requesters: [requester], now });
  load.start();
  nowMs += busyMs;
  vi.advanceTimersByTime(20);
  expect(run).toHaveBeenCalledTimes(madeUpMs);
  load.stop();
});
