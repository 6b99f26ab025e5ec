import { beforeEach, describe, expect, it } from 'vitest';
import { REPORTS_HIGH_BYTES, REPORTS_LOW_BYTES, RESUMED_PER_TURN } from '../shares/limits.ts';
import { ReportPressure } from './report-pressure.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('connections that bring more than topology takes in', () => {
  let bytes: number;
  let pressure: ReportPressure;
  /** Connections that were read again, in order. */
  let read: string[];
  beforeEach(() => {
    bytes = REPORTS_HIGH_BYTES;
    read = [];
    pressure = new ReportPressure(() => bytes);
  });

  function wait(name: string, principal = name): void {
    pressure.onceLow(() => read.push(name), principal);
  }

  it('wait once more than REPORTS_HIGH_BYTES wait for topology', () => {
    expect(pressure.isHigh).toBe(false);
    bytes++;
    expect(pressure.isHigh).toBe(true);
  });

  // Limits: shares/limits.ts REPORTS_LOW_BYTES
  it('are read again once no more than REPORTS_LOW_BYTES wait, and not before', async () => {
    wait('a');
    bytes = REPORTS_LOW_BYTES + 1;
    pressure.eased();
    await nextTurn();
    expect([read, pressure.waiting]).toEqual([[], 1]);
    bytes = REPORTS_LOW_BYTES;
    pressure.eased();
    // Not within the call of `eased`.
    expect(read).toEqual([]);
    await nextTurn();
    expect([read, pressure.waiting]).toEqual([['a'], 0]);
  });

  it('are read again a few in each turn, principals in turn, while few bytes wait', async () => {
    for (let n = 0; n < 2 * RESUMED_PER_TURN; n++) wait(`greedy ${n}`, 'greedy');
    wait('honest');
    bytes = 0;
    pressure.eased();
    await nextTurn();
    expect(read).toHaveLength(RESUMED_PER_TURN);
    expect(read.slice(0, 2)).toContain('honest');
    await nextTurn();
    expect(read).toHaveLength(2 * RESUMED_PER_TURN);
    bytes = REPORTS_LOW_BYTES + 1;
    await nextTurn();
    expect([read.length, pressure.waiting]).toEqual([2 * RESUMED_PER_TURN, 1]);
  });
});
