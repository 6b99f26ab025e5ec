import { describe, expect, it } from 'vitest';
import type { Happened } from '../events/event-teller.ts';
import { FakeClock } from '../fake-clock.ts';
import { createLogger, Throttle } from '../log/logger.ts';
import { LimitsHit } from './limits-hit.ts';
import type { PoolLimit } from './pool.ts';
import { ShareLog } from './share-log.ts';

// Written once more: a change of them must be noticed.
const MAX_NAMED = 20;
const NAMES_INTERVAL_MS = 10_000;

const limit = (principal: string): PoolLimit => ({ resource: 'links', bound: 'share', principal, held: 4, limit: 4 });

function shareLog() {
  const clock = new FakeClock();
  const lines: Record<string, unknown>[] = [];
  const told: Happened[] = [];
  const logger = createLogger({
    level: 'warn',
    service: 'test',
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const throttle = new Throttle({ intervalMs: NAMES_INTERVAL_MS }, { clock });
  const events = { tell: (happened: Happened) => void told.push(happened) };
  const log = new ShareLog({ clock, logger, throttle, events, hits: new LimitsHit() });
  const all = (count: number) => {
    for (let n = 0; n < count; n++) log.limited(limit(`p${n}`));
  };
  return { clock, lines, told, all };
}

const NAMED = 'a principal has more than its share';
const OTHERS = 'further principals have more than their share';

describe('very many principals with more than their share', () => {
  // Limits: shares/share-log.ts MAX_NAMED
  // Causes: line further principals have more than their share
  it('are named in the log and in events up to a number, and then counted in one line an interval', () => {
    const { clock, lines, told, all } = shareLog();
    for (let interval = 1; interval <= 3; interval++) {
      for (let times = 0; times < 3; times++) all(MAX_NAMED + 500);
      expect(lines).toHaveLength(MAX_NAMED);
      expect(lines.every(({ msg }) => msg === NAMED)).toBe(true);
      expect(told).toHaveLength(MAX_NAMED * interval);
      clock.advance(NAMES_INTERVAL_MS);
      expect(lines.splice(0).slice(MAX_NAMED)).toMatchObject([
        { level: 'warn', msg: OTHERS, others: 500, advice: expect.any(String) },
      ]);
    }
  });

  it('are all named if they are no more than that, and nobody is counted', () => {
    const { clock, lines, all } = shareLog();
    all(MAX_NAMED);
    clock.advance(10 * NAMES_INTERVAL_MS);
    expect(lines.map(({ msg }) => msg)).toEqual(Array.from({ length: MAX_NAMED }, () => NAMED));
    expect(clock.pending).toBe(0);
  });
});
