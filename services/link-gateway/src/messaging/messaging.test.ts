import { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import type { OpenRouteResponse } from '@spanmesh/proto/v1/messaging';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { expect, it } from 'vitest';
import { Reports } from '../attach/reports.ts';
import type { DirectoryCalls } from './directory-calls.ts';
import { MAX_ROUTES, MAX_ROUTES_PER_USER } from './limits.ts';
import { Messaging } from './messaging.ts';

/** The server's end of an OpenRoute call by a client at this address. */
class FakeRoute extends EventEmitter {
  readonly metadata = new Metadata();
  error: ApiError | null = null;
  readonly #host: string;

  constructor(host: string) {
    super();
    this.#host = host;
    this.on('error', (error: ApiError) => {
      this.error = error;
    });
  }

  getPeer(): string {
    return `${this.#host}:4711`;
  }

  write(_response: OpenRouteResponse, _written: () => void): boolean {
    return true;
  }

  end(): void {}
  pause(): void {}
  resume(): void {}
}

function messaging() {
  const of = new Messaging(
    { gateway: () => 'a.00000001' },
    {
      directory: { waiting: 0 } as DirectoryCalls,
      clients: { openRoute: () => null },
      reports: new Reports(),
      metrics: new Metrics(),
      clock: new FakeClock(),
      logger: createLogger({ level: 'silent', service: 'test' }),
    },
  );
  const open = (host: string): FakeRoute => {
    const route = new FakeRoute(host);
    of.implementation.openRoute(route as unknown as Parameters<typeof of.implementation.openRoute>[0]);
    return route;
  };
  return { of, open };
}

// Limits: messaging/limits.ts MAX_ROUTES_PER_USER, messaging/limits.ts MAX_ROUTES
it('routes are refused to a client beyond its share, not to others; when all are taken the client with most loses one to a newcomer', () => {
  const { of, open } = messaging();
  const greedy = Array.from({ length: MAX_ROUTES_PER_USER }, () => open('192.0.2.1'));
  expect(greedy.every(({ error }) => error === null)).toBe(true);
  expect(open('192.0.2.1').error?.code).toBe(status.RESOURCE_EXHAUSTED);
  const rest = Array.from({ length: MAX_ROUTES - MAX_ROUTES_PER_USER - 1 }, () => open('192.0.2.2'));
  expect(rest.every(({ error }) => error === null)).toBe(true);
  expect(open('192.0.2.3').error).toBeNull();
  expect(of.counts().routeCalls).toBe(MAX_ROUTES);
  // All routes are taken.
  expect(open('192.0.2.4').error).toBeNull();
  expect(greedy.at(-1)?.error?.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(of.counts().routeCalls).toBe(MAX_ROUTES);
  // An ended route makes room.
  greedy[0]?.emit('cancelled');
  expect(of.counts().routeCalls).toBe(MAX_ROUTES - 1);
  expect(open('192.0.2.4').error).toBeNull();
});
