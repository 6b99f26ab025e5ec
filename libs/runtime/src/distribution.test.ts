import { describe, expect, it } from 'vitest';
import { Distribution } from './distribution.ts';

describe('Distribution', () => {
  it('counts a value at the first bound that it does not exceed', () => {
    const seconds = new Distribution([0.1, 1]);
    for (const value of [0, 0.1, 0.5, 1, 7]) seconds.observe(value);
    expect([...seconds.counts]).toEqual([2, 2, 1]);
    expect(seconds.sum).toBeCloseTo(8.6);
    expect(seconds.count).toBe(5);
  });
});
