import { describe, expect, it } from 'vitest';
import { Distribution } from './distribution.ts';

describe('Distribution', () => {
  it('has bounds from a tenth of a millisecond to ten seconds, unless others are given', () => {
    expect(new Distribution().bounds.join(' ')).toBe(
      '0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10',
    );
    expect(new Distribution().counts).toHaveLength(17);
  });

  it('counts a value at the first bound that it does not exceed', () => {
    const seconds = new Distribution([0.1, 1]);
    for (const value of [0, 0.1, 0.5, 1, 7]) seconds.observe(value);
    expect([...seconds.counts]).toEqual([2, 2, 1]);
    expect(seconds.sum).toBeCloseTo(8.6);
    expect(seconds.count).toBe(5);
  });
});
