import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_DELTAS_UNDER_WAY } from '../shares/limits.ts';
import { DeltaWindow } from './delta-window.ts';

describe('deltas under way to a leader', () => {
  let window: DeltaWindow;
  beforeEach(() => {
    window = new DeltaWindow();
    window.begin(true);
    for (let n = 0; n < MAX_DELTAS_UNDER_WAY - 1; n++) window.sent();
  });

  it('are MAX_DELTAS_UNDER_WAY at most, until the leader has taken one in', () => {
    expect(window.isFull).toBe(false);
    window.sent();
    expect([window.isFull, window.underWay]).toEqual([true, MAX_DELTAS_UNDER_WAY]);
    expect([window.taken(1), window.isFull]).toEqual([true, false]);
    // The window was not full before.
    expect(window.taken(2)).toBe(false);
    expect(window.underWay).toBe(MAX_DELTAS_UNDER_WAY - 2);
  });

  it('are from 0 to as many as were sent, whatever the leader says', () => {
    window.taken(1000);
    expect(window.underWay).toBe(0);
    window.taken(0);
    expect(window.underWay).toBe(0);
    window.sent();
    expect(window.underWay).toBe(1);
  });

  it('are not counted while the leader does not tell, and are counted anew with each stream', () => {
    window.sent();
    window.begin(true);
    expect([window.underWay, window.isFull]).toEqual([0, false]);
    window.begin(false);
    for (let n = 0; n < 100; n++) window.sent();
    expect([window.underWay, window.isFull, window.taken(50)]).toEqual([0, false, false]);
  });
});
