import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { Lag } from './lag.ts';

/** Messages of a leader whose clock shows a million more than ours. */
function rig() {
  const clock = new FakeClock();
  const lag = new Lag({ clock });
  /** One that was `underWay` ms under way arrives. */
  const arrives = (underWay: number) => lag.heard(clock.now() + 1_000_000 - underWay);
  return { clock, lag, arrives };
}

it('what was heard is as old as it came ago, and as much longer under way than the fastest', () => {
  const { clock, lag, arrives } = rig();
  clock.advance(1000);
  arrives(5);
  expect(lag.ms).toBe(0);
  clock.advance(70);
  expect(lag.ms).toBe(70);
  arrives(25);
  expect(lag.ms).toBe(20);
  arrives(2);
  expect(lag.ms).toBe(0);
  arrives(5);
  expect(lag.ms).toBe(3);
});

it('the fastest is that of this minute and of the one before: clocks drift', () => {
  const { clock, lag, arrives } = rig();
  arrives(5);
  clock.advance(59_999);
  arrives(30);
  expect(lag.ms).toBe(25);
  clock.advance(1);
  // Another minute has begun, and the one before counts.
  arrives(30);
  expect(lag.ms).toBe(25);
  clock.advance(60_000);
  arrives(30);
  expect(lag.ms).toBe(0);
});
