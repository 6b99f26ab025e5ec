import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_TIMER_MS, systemClock } from './clock.ts';

/** A delay that is too long for setTimeout. */
const LONG_MS = 3_000_000_000;

// These timers treat a delay over 2^31 - 1 ms as Node's do: it becomes 1 ms.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

describe('a timer of this process', () => {
  // Limits: runtime/src/clock.ts MAX_TIMER_MS
  it('waits as long as it was told, also longer than setTimeout can', () => {
    const called = vi.fn();
    systemClock.after(LONG_MS, called);
    vi.advanceTimersByTime(LONG_MS - 1);
    expect(called).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(called).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('can be cancelled at any time of a long wait', () => {
    const called = vi.fn();
    const early = systemClock.after(LONG_MS, called);
    const late = systemClock.after(LONG_MS, called);
    early.cancel();
    vi.advanceTimersByTime(MAX_TIMER_MS + 1);
    late.cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(LONG_MS);
    expect(called).not.toHaveBeenCalled();
  });
});
