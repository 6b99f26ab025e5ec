import { status } from '@grpc/grpc-js';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { expect, it } from 'vitest';
import { ApiShares } from './api-shares.ts';

// Written once more: a change of them must be noticed.
const MAX_ANSWERS = 1024;
const MAX_ANSWERS_PER_USER = 256;
const MAX_TRAFFIC_ANSWERS = 64;
const MAX_TRAFFIC_ANSWERS_PER_USER = 32;
const MAX_TREES = 16;
const MAX_TREES_PER_USER = 4;
const MAX_WATCHES = 1000;
const MAX_WATCHES_PER_USER = 500;

function shares() {
  const log: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void log.push(JSON.parse(line)) };
  const logger = createLogger({ level: 'warn', service: 'test', destination });
  return { log, of: new ApiShares({ logger, clock: new FakeClock() }) };
}

const exhausted = expect.objectContaining({ code: status.RESOURCE_EXHAUSTED });

// Limits: api/limits.ts MAX_TREES_PER_USER
it('a user may ask for a limited number of trees at a time, and leaves room for others', () => {
  const { of, log } = shares();
  const ends = Array.from({ length: MAX_TREES_PER_USER }, () => of.begin('trees', 'user:greedy'));
  expect(() => of.begin('trees', 'user:greedy')).toThrow(exhausted);
  for (let user = 1; user < MAX_TREES / MAX_TREES_PER_USER; user++) of.begin('trees', `user:${user}`);
  expect(log).toMatchObject([{ resource: 'trees', bound: 'share', principal: 'user:greedy' }]);
  ends[0]?.();
  expect(() => of.begin('trees', 'user:greedy')).not.toThrow();
});

// Limits: api/limits.ts MAX_WATCHES
it('when all watches are taken, the newest watch of the user with most of them ends', () => {
  const { of } = shares();
  const ended: string[] = [];
  let error: ApiError | undefined;
  for (const user of ['a', 'b']) {
    for (let i = 0; i < MAX_WATCHES_PER_USER - (user === 'b' ? 1 : 0); i++) {
      of.begin('watches', user, (why) => {
        ended.push(`${user}${i}`);
        error = why;
      });
    }
  }
  expect(MAX_WATCHES).toBe(2 * MAX_WATCHES_PER_USER);
  of.begin('watches', 'c');
  expect(ended).toEqual([]);
  of.begin('watches', 'd');
  expect(ended).toEqual([`a${MAX_WATCHES_PER_USER - 1}`]);
  expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
});

// Limits: api/limits.ts MAX_TREES, api/limits.ts MAX_ANSWERS, api/limits.ts MAX_ANSWERS_PER_USER
// Limits: api/limits.ts MAX_TRAFFIC_ANSWERS, api/limits.ts MAX_TRAFFIC_ANSWERS_PER_USER
// Limits: api/limits.ts MAX_WATCHES_PER_USER
it.each([
  ['trees', MAX_TREES, MAX_TREES_PER_USER],
  ['answers', MAX_ANSWERS, MAX_ANSWERS_PER_USER],
  ['answers about traffic', MAX_TRAFFIC_ANSWERS, MAX_TRAFFIC_ANSWERS_PER_USER],
  ['watches', MAX_WATCHES, MAX_WATCHES_PER_USER],
] as const)('%s are %i at a time, of which a user has %i', (kind, total, share) => {
  const { of } = shares();
  const ends: (() => void)[] = [];
  for (let user = 0; user < total / share; user++) {
    for (let i = 0; i < share; i++) ends.push(of.begin(kind, `user:${user}`));
    expect(() => of.begin(kind, `user:${user}`)).toThrow(exhausted);
  }
  expect(of.held(kind)).toBe(total);
  // Calls of these kinds cannot be ended to make room for others.
  expect(() => of.begin(kind, 'user:new')).toThrow(exhausted);
  for (const end of ends) end();
  expect(of.held(kind)).toBe(0);
});
