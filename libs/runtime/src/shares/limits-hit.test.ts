import { describe, expect, it } from 'vitest';
import { NO_EVENTS } from '../events/event-teller.ts';
import { FakeClock } from '../fake-clock.ts';
import { createLogger } from '../log/logger.ts';
import { LimitsHit } from './limits-hit.ts';
import { Pool, type PoolLimit } from './pool.ts';
import { ShareLog } from './share-log.ts';

// Written once more: a change of them must be noticed.
const AT_LIMIT_MS = 60_000;
const MAX_LIMITS_HIT = 16;

function hits() {
  const clock = { ms: 0 };
  return { clock, limits: new LimitsHit({ now: () => clock.ms }) };
}

const limit = (principal: string): PoolLimit => ({ resource: 'links', bound: 'share', principal, held: 4, limit: 4 });

describe('principals at a limit', () => {
  it('are shown with how often and for how long, until they have not reached it for a minute', () => {
    const { clock, limits } = hits();
    limits.note('a', limit('ann'));
    for (let i = 0; i < 3; i++) {
      clock.ms += 1000;
      limits.note('b', limit('bob'));
    }
    clock.ms += 500;
    expect(limits.all).toMatchObject([
      { principal: 'bob', resource: 'links', limit: 4, times: 3, forMs: 2500, agoMs: 500 },
      { principal: 'ann', times: 1, forMs: 3500, agoMs: 3500 },
    ]);
    clock.ms = AT_LIMIT_MS + 500;
    expect(limits.all.map(({ principal }) => principal)).toEqual(['bob']);
    clock.ms = 2 * AT_LIMIT_MS + 500;
    limits.note('b', limit('bob'));
    expect(limits.all).toMatchObject([{ principal: 'bob', times: 1, forMs: 0 }]);
  });

  it('is listed first, and for as long as something is withheld, if something is withheld because of the limit', () => {
    const { clock, limits } = hits();
    clock.ms = 50;
    limits.note('a', limit('ann'));
    const end = limits.withhold('a', limit('ann'));
    for (let i = 0; i < MAX_LIMITS_HIT; i++) {
      clock.ms += 1;
      limits.note(`p${i}`, limit(`p${i}`));
      limits.note(`p${i}`, limit(`p${i}`));
    }
    expect(limits.all).toHaveLength(MAX_LIMITS_HIT);
    expect(limits.all[0]).toMatchObject({ principal: 'ann', withheld: true, forMs: MAX_LIMITS_HIT, agoMs: 0 });
    clock.ms = 10 * AT_LIMIT_MS;
    expect(limits.all).toMatchObject([{ principal: 'ann', withheld: true, forMs: 10 * AT_LIMIT_MS - 50 }]);
    // Withheld a second time: the end of the first time does not end this one.
    const again = limits.withhold('a', limit('ann'));
    end();
    expect(limits.all).toHaveLength(1);
    again();
    expect(limits.all).toEqual([]);
  });

  // Limits: shares/limits-hit.ts MAX_LIMITS_HIT
  it('are limited in number: the last ones are kept', () => {
    const { limits } = hits();
    for (let i = 0; i <= MAX_LIMITS_HIT; i++) limits.note(`p${i}`, limit(`p${i}`));
    const named = limits.all.map(({ principal }) => principal);
    expect(named).toHaveLength(MAX_LIMITS_HIT);
    expect([named.includes('p0'), named.includes('p1')]).toEqual([false, true]);
  });

  it('are noted each time, though the log reports them once an interval', () => {
    const { limits } = hits();
    const lines: string[] = [];
    const logger = createLogger({ level: 'warn', service: 'test', destination: { write: (line) => lines.push(line) } });
    const throttle = { admit: () => ({ log: lines.length === 0, suppressed: 0 }) };
    const log = new ShareLog({ clock: new FakeClock(), logger, throttle, events: NO_EVENTS, hits: limits });
    const pool = new Pool<null>(
      { resource: 'watches', total: 9, share: 2 },
      { evict: () => {}, limited: (one) => log.limited(one) },
    );
    const ann = pool.open('ann', null);
    for (let i = 0; i < 5; i++) pool.take(ann);
    expect(lines).toHaveLength(1);
    expect(limits.all).toMatchObject([{ principal: 'ann', resource: 'watches', bound: 'share', times: 3, held: 2 }]);
  });
});
