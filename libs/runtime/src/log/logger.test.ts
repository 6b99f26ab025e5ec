import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { createLogger, Throttle } from './logger.ts';

describe('createLogger', () => {
  it('writes one JSON object per line, with service and level by name', () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'info', service: 'x', destination: { write: (line) => lines.push(line) } });
    logger.debug('hidden');
    logger.warn({ conn: 7, err: new Error('boom') }, 'said');
    expect(lines.length).toBe(1);
    const line = JSON.parse(lines[0]!);
    expect(line).toMatchObject({ level: 'warn', service: 'x', conn: 7, msg: 'said', err: { message: 'boom' } });
  });
});

describe('Throttle', () => {
  it('admits a key once in an interval, and says how many times it was held back', () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ intervalMs: 1000 }, { clock });
    expect(throttle.admit('a')).toEqual({ log: true, suppressed: 0 });
    expect(throttle.admit('a')).toEqual({ log: false, suppressed: 0 });
    expect(throttle.admit('b')).toEqual({ log: true, suppressed: 0 });
    clock.advance(999);
    expect(throttle.admit('a').log).toBe(false);
    clock.advance(1);
    expect(throttle.admit('a')).toEqual({ log: true, suppressed: 2 });
    clock.advance(1000);
    expect(throttle.admit('a')).toEqual({ log: true, suppressed: 0 });
  });

  // Limits: log/logger.ts MAX_THROTTLE_KEYS
  it('is limited against made-up keys, and counts those that it holds back', () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ intervalMs: 1000 }, { clock });
    let admitted = 0;
    for (let i = 0; i < 5000; i++) {
      admitted += throttle.admit(`key ${i}`).log ? 1 : 0;
    }
    expect(admitted).toBe(1024);
    clock.advance(1000);
    expect(throttle.admit('next')).toEqual({ log: true, suppressed: 5000 - 1024 });
  });
});
