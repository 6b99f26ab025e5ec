import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { Silence } from './silence.ts';

function silence() {
  const clock = new FakeClock();
  let ended = 0;
  return { clock, silence: new Silence({ limitMs: 100 }, { clock, ended: () => ended++ }), ended: () => ended };
}

describe('a connection', () => {
  it('on which nothing comes in time ends, once', () => {
    const { clock, ended } = silence();
    clock.advance(99);
    expect(ended()).toBe(0);
    clock.advance(1000);
    expect(ended()).toBe(1);
  });

  it('on which anything has come, or that is closed, may be silent', () => {
    for (const how of ['heard', 'stop'] as const) {
      const { clock, silence: one, ended } = silence();
      clock.advance(50);
      one[how]();
      clock.advance(1000);
      expect([ended(), clock.pending]).toEqual([0, 0]);
    }
  });

  it('has been silent since the last byte, or since it is read again', () => {
    const { clock, silence: one } = silence();
    expect(one.heardAt).toBe(0);
    clock.advance(10);
    one.heard();
    expect(one.heardAt).toBe(10);
    clock.advance(10);
    one.begin();
    expect(one.heardAt).toBe(20);
  });
});
