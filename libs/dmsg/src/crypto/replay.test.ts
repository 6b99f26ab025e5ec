import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { errorOf, expectNoSecrets } from './error.fixture.ts';
import { ReplayMemory } from './replay.ts';

class Now {
  ms = 0;
  now(): number {
    return this.ms;
  }
}

describe('replay memory', () => {
  it('lets material in once', () => {
    const memory = new ReplayMemory({ rememberMs: 1000, limit: 10 }, { clock: new Now() });
    const [one, other] = [randomBytes(64), randomBytes(64)];
    memory.admit(one);
    memory.admit(other);
    const error = errorOf(ErrorCode.KEYXCHGFAIL, () => memory.admit(one));
    expect(error.data).toEqual({ check: 'replay' });
    expectNoSecrets(error, [one]);
  });

  it('forgets when the time is over', () => {
    const clock = new Now();
    const memory = new ReplayMemory({ rememberMs: 1000, limit: 10 }, { clock });
    const session = randomBytes(64);
    memory.admit(session);
    clock.ms = 999;
    errorOf(ErrorCode.KEYXCHGFAIL, () => memory.admit(session));
    clock.ms = 1000;
    memory.admit(session);
    expect(memory.size).toBe(1);
  });

  it('forgets the oldest first when it is full', () => {
    const memory = new ReplayMemory({ rememberMs: 1000, limit: 2 }, { clock: new Now() });
    const [a, b, c] = [randomBytes(64), randomBytes(64), randomBytes(64)];
    memory.admit(a);
    memory.admit(b);
    memory.admit(c);
    expect(memory.size).toBe(2);
    errorOf(ErrorCode.KEYXCHGFAIL, () => memory.admit(b));
    errorOf(ErrorCode.KEYXCHGFAIL, () => memory.admit(c));
    memory.admit(a);
  });

  it('forgets the oldest of the principal that has most, when it is full', () => {
    const memory = new ReplayMemory({ rememberMs: 1000, limit: 4 }, { clock: new Now() });
    const honest = randomBytes(64);
    memory.admit(honest, 'honest');
    for (let i = 0; i < 10; i++) memory.admit(randomBytes(64), 'greedy');
    expect(memory.size).toBe(4);
    errorOf(ErrorCode.KEYXCHGFAIL, () => memory.admit(honest, 'honest'));
    errorOf(ErrorCode.KEYXCHGFAIL, () => memory.admit(honest, 'greedy'));
  });
});
