import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { samples } from '../metrics.fixture.ts';
import { Metrics } from '../metrics.ts';
import { createLogger, registerLogMetrics, Throttle } from './logger.ts';
import { processOutput } from './process-output.ts';
import { recentLines } from './recent-lines.ts';

/** What the process would have written; its standard output is not a terminal here. */
function written(): string[] {
  const { write, describeLoss, lost } = processOutput;
  onTestFinished(() => void Object.assign(processOutput, { write, describeLoss, lost }));
  const texts: string[] = [];
  processOutput.write = (text) => void texts.push(text);
  return texts;
}

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

  it('writes to the output of the process by default, and remembers the line', () => {
    const texts = written();
    createLogger({ level: 'info', service: 'x' }).info({ conn: 8 }, 'said');
    expect(texts.map((text) => JSON.parse(text))).toMatchObject([
      { level: 'info', service: 'x', conn: 8, msg: 'said' },
    ]);
    expect(texts).toEqual([`${recentLines.all.at(-1)}\n`]);
  });

  it('reports lost lines of the output as a line of its own, and counts them', async () => {
    written();
    createLogger({ level: 'info', service: 'x' });
    expect(JSON.parse(processOutput.describeLoss({ lines: 3, code: 'ENOSPC' }))).toMatchObject({
      level: 'error',
      service: 'x',
      lines: 3,
      code: 'ENOSPC',
      msg: 'lines of this log were lost: it could not be written',
    });
    const metrics = new Metrics();
    registerLogMetrics(metrics);
    processOutput.lost = 3;
    expect(await samples(metrics)).toEqual({ log_lines_lost_total: 3 });
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

  it('makes room for a new key only by forgetting one whose interval is over', () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ intervalMs: 1000 }, { clock });
    for (let i = 0; i < 1024; i++) throttle.admit(`key ${i}`);
    throttle.admit('key 0');
    throttle.admit('key 1');
    clock.advance(1000);
    // It has a place already, so nothing is forgotten for it; from now on it is the newest.
    expect(throttle.admit('key 0')).toEqual({ log: true, suppressed: 1 });
    // What was held back of the forgotten key is still told, once.
    expect(throttle.admit('new')).toEqual({ log: true, suppressed: 1 });
    expect(throttle.admit('key 1')).toEqual({ log: true, suppressed: 0 });
    expect(throttle.admit('key 0')).toEqual({ log: false, suppressed: 0 });
  });

  it('tells that a key was held back by a full table with the next admission, and only then', () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ intervalMs: 1000 }, { clock });
    for (let i = 0; i < 1024; i++) throttle.admit(`key ${i}`);
    expect(throttle.admit('new')).toEqual({ log: false, suppressed: 0 });
    clock.advance(1000);
    expect(throttle.admit('new')).toEqual({ log: true, suppressed: 1 });
    expect(throttle.admit('newer')).toEqual({ log: true, suppressed: 0 });
  });
});
