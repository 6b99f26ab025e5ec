import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_COUNTED, MAX_NAMED, MAX_REASONS, RefusalLog } from './refusal-log.ts';

const INTERVAL_MS = 10_000;
const HELD_BACK = { log: false, suppressed: 0, others: 0 };

describe('RefusalLog', () => {
  let clock: FakeClock;
  let log: RefusalLog;
  beforeEach(() => {
    clock = new FakeClock();
    log = new RefusalLog({ intervalMs: INTERVAL_MS }, { clock });
  });

  it('names a second attacker who is refused for the same reason within the interval', () => {
    expect(log.admit('revoked', '192.0.2.1')).toEqual({ log: true, suppressed: 0, others: 0 });
    for (let i = 0; i < 5; i++) expect(log.admit('revoked', '192.0.2.1')).toEqual(HELD_BACK);
    expect(log.admit('revoked', '192.0.2.2')).toEqual({ log: true, suppressed: 5, others: 0 });
    expect(log.admit('revoked', '192.0.2.2')).toEqual(HELD_BACK);
    expect(log.admit('not-loopback', '192.0.2.1')).toMatchObject({ log: true });
  });

  it('names each principal again after an interval', () => {
    for (const principal of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) log.admit('revoked', principal);
    clock.advance(INTERVAL_MS - 1);
    expect(log.admit('revoked', '192.0.2.2')).toEqual(HELD_BACK);
    clock.advance(1);
    expect(log.admit('revoked', '192.0.2.2')).toEqual({ log: true, suppressed: 2, others: 0 });
    expect(log.admit('revoked', '192.0.2.1')).toEqual({ log: true, suppressed: 0, others: 0 });
  });

  // Limits: entrance/refusal-log.ts MAX_NAMED
  it('names MAX_NAMED principals, and says how many others there were', () => {
    const lines = Array.from({ length: MAX_NAMED + 30 }, (_, i) => log.admit('revoked', `host ${i}`));
    expect(lines.filter((line) => line.log)).toHaveLength(MAX_NAMED);
    // The same principals once more: none is counted twice.
    for (let i = 0; i < MAX_NAMED + 30; i++) log.admit('revoked', `host ${i}`);
    clock.advance(INTERVAL_MS);
    expect(log.admit('revoked', 'host 0')).toEqual({ log: true, suppressed: 30 + MAX_NAMED + 30, others: 30 });
    clock.advance(INTERVAL_MS);
    expect(log.admit('revoked', 'host 0')).toEqual({ log: true, suppressed: 0, others: 0 });
  });

  // Limits: entrance/refusal-log.ts MAX_COUNTED, entrance/refusal-log.ts MAX_REASONS
  it('remembers MAX_COUNTED principals and MAX_REASONS reasons at most', () => {
    for (let i = 0; i < MAX_NAMED + 2 * MAX_COUNTED; i++) log.admit('revoked', `host ${i}`);
    clock.advance(INTERVAL_MS);
    expect(log.admit('revoked', 'host 0')).toEqual({ log: true, suppressed: 2 * MAX_COUNTED, others: MAX_COUNTED });
    for (let i = 0; i < MAX_REASONS; i++) log.admit(`reason ${i}`, 'host 0');
    // The oldest reason is forgotten, the newest is not.
    expect(log.admit(`reason ${MAX_REASONS - 1}`, 'host 0')).toEqual(HELD_BACK);
    expect(log.admit('revoked', 'host 0')).toEqual({ log: true, suppressed: 0, others: 0 });
  });
});
