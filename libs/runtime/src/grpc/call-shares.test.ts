import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { createLogger } from '../log/logger.ts';
import { LimitsHit } from '../shares/limits-hit.ts';
import type { ApiError } from './api-error.ts';
import { CallShares } from './call-shares.ts';

function shares() {
  const log: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void log.push(JSON.parse(line)) };
  const logger = createLogger({ level: 'warn', service: 'test', destination });
  return { log, of: new CallShares({ routes: { total: 6, share: 3 } }, { logger, clock: new FakeClock() }) };
}

const exhausted = expect.objectContaining({ code: status.RESOURCE_EXHAUSTED });

// Causes: code grpc/call-shares.ts RESOURCE_EXHAUSTED
it('a user has his share and no more, is named, and leaves the rest to others', () => {
  const { of, log } = shares();
  const ends = [1, 2, 3].map(() => of.begin('routes', 'user:a'));
  expect(() => of.begin('routes', 'user:a')).toThrow(exhausted);
  expect(log).toMatchObject([{ resource: 'routes', bound: 'share', principal: 'user:a', held: 3, limit: 3 }]);
  for (let i = 0; i < 3; i++) of.begin('routes', 'user:b');
  expect(of.held('routes')).toBe(6);
  ends[0]?.();
  ends[0]?.();
  expect(of.held('routes')).toBe(5);
  of.begin('routes', 'user:a');
});

it('the user with most calls gives way when all are taken, with the last call that he has begun', () => {
  const { of } = shares();
  const ended: [string, ApiError][] = [];
  for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) {
    of.begin('routes', name.charAt(0), (error) => ended.push([name, error]));
  }
  of.begin('routes', 'd');
  expect(ended).toEqual([['a3', exhausted]]);
  expect(of.held('routes')).toBe(6);
});

it('says what to do to a user who has his share, and to one who finds all taken', () => {
  const { of } = shares();
  const refused = (principal: string) => {
    try {
      of.begin('routes', principal);
    } catch (error) {
      return (error as ApiError).details;
    }
    return null;
  };
  for (const name of ['a', 'a', 'a', 'b', 'b', 'b']) of.begin('routes', name);
  expect(refused('a')).toBe('You have 3 routes already: end some, or try again later.');
  // Calls that cannot be ended early give way to nobody.
  expect([refused('c'), of.held('routes')]).toEqual(['There are 6 routes already: try again later.', 6]);
});

it('says to a user whose call gives way why, once, and the call counts no more', () => {
  const { of } = shares();
  const told: string[] = [];
  const ends = ['a', 'a', 'a', 'b', 'b', 'c'].map((name) =>
    of.begin('routes', name, ({ details }) => told.push(details)),
  );
  of.begin('routes', 'd');
  expect(told).toEqual(['There are 6 routes, and you have most.']);
  ends[2]?.();
  expect(of.held('routes')).toBe(6);
});

it('tells events and the list of those at a limit once in ten seconds, and knows only its own kinds', () => {
  const events: unknown[] = [];
  const clock = new FakeClock();
  const hits = new LimitsHit({ now: () => clock.now() });
  const logger = createLogger({ level: 'silent', service: 'test' });
  const of = new CallShares(
    { routes: { total: 1, share: 1 } },
    { logger, clock, hits, events: { tell: ({ principal }) => events.push(principal) } },
  );
  of.begin('routes', 'a');
  const refuse = () => expect(() => of.begin('routes', 'a')).toThrow(exhausted);
  refuse();
  refuse();
  expect([events, hits.all]).toMatchObject([['a'], [{ principal: 'a', times: 2 }]]);
  clock.advance(9999);
  refuse();
  expect(events).toHaveLength(1);
  clock.advance(1);
  refuse();
  expect(events).toHaveLength(2);
  const other = 'others' as 'routes';
  expect(of.held(other)).toBe(0);
  expect(() => of.begin(other, 'a')).toThrow(new TypeError('others is not shared'));
});
