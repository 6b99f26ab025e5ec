import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { MessageDeadline } from './message-deadline.ts';

function watched() {
  const clock = new FakeClock();
  const receiver = {
    isPaused: false,
    overdue: 0,
    messageOverdue() {
      this.overdue++;
    },
  };
  return { clock, receiver, deadline: new MessageDeadline({ limitMs: 1000 }, { clock, receiver }) };
}

it('a message that goes on and on is overdue, however often some of it comes', () => {
  const { clock, receiver, deadline } = watched();
  for (let n = 0; n < 9; n++) {
    deadline.note(100 + n, false);
    clock.advance(100);
  }
  expect(receiver.overdue).toBe(0);
  deadline.note(200, false);
  clock.advance(100);
  expect(receiver.overdue).toBe(1);
  expect(clock.pending).toBe(0);
});

it('each message has its own time', () => {
  const { clock, receiver, deadline } = watched();
  deadline.note(1, false);
  clock.advance(900);
  deadline.note(1, true);
  clock.advance(900);
  deadline.note(0, true);
  clock.advance(5000);
  deadline.note(1, true);
  clock.advance(999);
  expect(receiver.overdue).toBe(0);
  clock.advance(1);
  expect(receiver.overdue).toBe(1);
});

it('time in which the connection is not read does not count', () => {
  const { clock, receiver, deadline } = watched();
  deadline.note(1, false);
  receiver.isPaused = true;
  clock.advance(10_000);
  receiver.isPaused = false;
  clock.advance(999);
  expect(receiver.overdue).toBe(0);
  clock.advance(1001);
  expect(receiver.overdue).toBe(1);
});

it('one timer, none when stopped', () => {
  const { clock, deadline } = watched();
  for (let n = 0; n < 100; n++) deadline.note(n % 3, n % 2 === 0);
  expect(clock.pending).toBe(1);
  deadline.stop();
  expect(clock.pending).toBe(0);
});
