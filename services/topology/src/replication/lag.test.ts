import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { Lag } from './lag.ts';

/** The lag of a leader whose clock shows a million ms more than ours. */
function rig() {
  const clock = new FakeClock();
  const lag = new Lag({ clock });
  /** Receives a message that was under way for `underWay` ms. */
  const arrives = (underWay: number) => lag.heard(clock.now() + 1_000_000 - underWay);
  return { clock, lag, arrives };
}

it('a message is as old as its arrival, plus its time under way beyond that of the fastest message', () => {
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

it('the fastest message is looked for in this minute and the one before, because clocks drift', () => {
  const { clock, lag, arrives } = rig();
  arrives(5);
  clock.advance(59_999);
  arrives(30);
  expect(lag.ms).toBe(25);
  clock.advance(1);
  // A new minute has begun; the fastest message of the one before still counts.
  arrives(30);
  expect(lag.ms).toBe(25);
  clock.advance(60_000);
  arrives(30);
  expect(lag.ms).toBe(0);
});
