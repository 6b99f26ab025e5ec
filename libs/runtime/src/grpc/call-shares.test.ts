import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { createLogger } from '../log/logger.ts';
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
