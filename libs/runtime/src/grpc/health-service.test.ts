import { type Server, status } from '@grpc/grpc-js';
import { beforeEach, expect, it } from 'vitest';
import { HealthService } from './health-service.ts';

type Done = (error: object | null, answer?: object) => void;
type Handlers = {
  check(call: object, done: Done): void;
  list(call: object, done: Done): void;
  watch(call: object): void;
};

let health: HealthService;
let handlers: Handlers;
beforeEach(() => {
  health = new HealthService();
  const server = {
    addService: (_: object, implementation: object) => {
      handlers = implementation as Handlers;
    },
  };
  health.addTo(server as unknown as Server);
});

const check = (service: string) => {
  const answers: unknown[] = [];
  handlers.check({ request: { service } }, (error, answer) => answers.push(error ?? answer));
  return answers;
};

/** Watches a service; what it is told, and how to end it. */
function watch(service: string) {
  const told: unknown[] = [];
  let end = (): void => {};
  const on = (event: string, fn: () => void): void => {
    if (event === 'cancelled') end = fn;
  };
  handlers.watch({ request: { service }, write: (answer: object) => told.push(answer), on });
  return { told, end: () => end() };
}

const SERVING = { status: 'SERVING' };
const NOT_SERVING = { status: 'NOT_SERVING' };

it('health is checked by name, and listed', () => {
  health.set('', 'SERVING');
  health.set('a', 'NOT_SERVING');
  expect([check(''), check('a')]).toEqual([[SERVING], [NOT_SERVING]]);
  expect(check('b')).toEqual([{ code: status.NOT_FOUND, details: 'There is no such service here.' }]);
  handlers.list({}, (error, answer) => {
    expect([error, answer]).toEqual([null, { statuses: { '': SERVING, a: NOT_SERVING } }]);
  });
  expect.assertions(3);
});

it('health is told to those who watch it: now, at each change, and not once they have gone', () => {
  health.set('a', 'SERVING');
  const [a, b] = [watch('a'), watch('b')];
  expect([a.told, b.told, health.watches]).toEqual([[SERVING], [{ status: 'SERVICE_UNKNOWN' }], 2]);
  health.set('a', 'SERVING');
  health.set('a', 'NOT_SERVING');
  health.set('b', 'SERVING');
  expect([a.told.slice(1), b.told.slice(1)]).toEqual([[NOT_SERVING], [SERVING]]);
  a.end();
  health.set('a', 'SERVING');
  expect([a.told.length, health.watches]).toEqual([2, 1]);
});
