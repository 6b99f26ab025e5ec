import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { LogLevelControl } from './log-level-control.ts';
import { createLogger, type Logger } from './logger.ts';

let clock: FakeClock;
let lines: { level: string; msg: string; from?: string; to?: string; by?: string; until?: string }[];
let logger: Logger;

beforeEach(() => {
  clock = new FakeClock();
  lines = [];
});

function control(configured: 'info' | 'error' | 'silent' = 'info'): LogLevelControl {
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  logger = createLogger({ level: configured, service: 'test', destination });
  return new LogLevelControl({ configured }, { logger, clock });
}

describe('LogLevelControl', () => {
  it('returns to the configured level by itself', () => {
    const level = control();
    level.change('debug', { forMs: 1000, by: 'ann' });
    expect([level.level, logger.level]).toEqual(['debug', 'debug']);
    const until = clock.wall() + 1000;
    expect(level.state).toEqual({ kind: 'changed', level: 'debug', by: 'ann', until });
    clock.advance(999);
    expect(level.level).toBe('debug');
    clock.advance(1);
    expect([level.level, logger.level, level.state.kind]).toEqual(['info', 'info', 'configured']);
    expect(lines).toMatchObject([
      { msg: 'log level changed', from: 'info', to: 'debug', by: 'ann', until: new Date(until).toISOString() },
      { msg: 'log level is as configured again', from: 'debug', to: 'info' },
    ]);
  });

  it('logs each change, whatever the levels are', () => {
    const level = control('silent');
    level.change('error', { forMs: 1000, by: 'ann' });
    level.change('silent', { forMs: 1000, by: 'bob' });
    level.reset('cleo');
    expect(lines.map(({ by }) => by)).toEqual(['ann', 'bob', 'cleo']);
    logger.error('not written');
    expect(lines).toHaveLength(3);
  });

  it('starts its time again with each change', () => {
    const level = control();
    level.change('debug', { forMs: 1000, by: 'ann' });
    clock.advance(600);
    level.change('trace', { forMs: 1000, by: 'ann' });
    clock.advance(600);
    expect(level.level).toBe('trace');
    clock.advance(400);
    expect(level.level).toBe('info');
  });

  it('keeps a change when it is stopped, and leaves no timer', () => {
    const level = control();
    level.change('debug', { forMs: 1000, by: 'ann' });
    level.stop();
    expect(clock.pending).toBe(0);
    clock.advance(1000);
    expect(level.level).toBe('debug');
  });

  it('logs nothing when it is reset without a change', () => {
    control().reset('ann');
    expect(lines).toEqual([]);
  });
});
