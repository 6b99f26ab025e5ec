import { describe, expect, it } from 'vitest';
import { systemClock } from './clock.ts';
import { FakeClock } from './fake-clock.ts';

describe('FakeClock', () => {
  it('runs timers in order, each at its own time, also those set meanwhile', () => {
    const clock = new FakeClock({ wall: 5000 });
    const ran: string[] = [];
    clock.after(20, () => ran.push(`b@${clock.now()}`));
    clock.after(10, () => {
      ran.push(`a@${clock.now()}`);
      clock.after(5, () => ran.push(`c@${clock.now()}`));
    });
    clock.after(21, () => ran.push('late'));
    expect(clock.nextAt()).toBe(10);
    clock.advance(20);
    expect(ran).toEqual(['a@10', 'c@15', 'b@20']);
    expect([clock.now(), clock.wall(), clock.pending]).toEqual([20, 5020, 1]);
  });

  it('stands at the time to which it was moved, also if no timer was due then', () => {
    const clock = new FakeClock();
    expect([clock.now(), clock.wall(), clock.nextAt()]).toEqual([0, 1_600_000_000_000, null]);
    clock.after(3, () => {});
    clock.advance(7);
    expect([clock.now(), clock.wall(), clock.nextAt()]).toEqual([7, 1_600_000_000_007, null]);
  });

  it('runs timers of the same time in the order in which they were set', () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    clock.after(5, () => {
      ran.push('a');
      clock.after(0, () => ran.push('d'));
      clock.after(-1, () => ran.push('e'));
    });
    for (const name of ['b', 'c']) clock.after(5, () => ran.push(name));
    clock.advance(5);
    expect([ran, clock.now()]).toEqual([['a', 'b', 'c', 'd', 'e'], 5]);
  });

  it('does not run a cancelled timer', () => {
    const clock = new FakeClock();
    const timer = clock.after(1, () => {
      throw new Error('cancelled timers do not run');
    });
    timer.cancel();
    timer.cancel();
    clock.advance(10);
    expect(clock.pending).toBe(0);
  });
});

describe('systemClock', () => {
  it('goes forward and calls back', async () => {
    const began = systemClock.now();
    // The timers are unref'd; the test runner's own channel keeps this process alive.
    await new Promise<void>((resolve) => {
      systemClock.after(5, resolve);
    });
    expect(systemClock.now()).toBeGreaterThan(began);
  });
});
