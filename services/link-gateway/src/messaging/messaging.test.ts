import { EventEmitter } from 'node:events';
import { type handleUnaryCall, Metadata, type ServerUnaryCall, status } from '@grpc/grpc-js';
import type { NodeSelector, OpenRouteResponse } from '@spanmesh/proto/v1/messaging';
import { type ClusterKey, Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { describe, expect, it } from 'vitest';
import { Reports } from '../attach/reports.ts';
import type { Caller, DirectoryCalls } from './directory-calls.ts';
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

/** What the directory was asked. */
interface Asked {
  readonly what: unknown;
  readonly caller: Caller;
}

function messaging() {
  const asked: Asked[] = [];
  const state = { waiting: 3, stopped: 0 };
  const metrics = new Metrics();
  const directory = {
    get waiting() {
      return state.waiting;
    },
    findCluster: async (key: ClusterKey, nodes: number, caller: Caller) => {
      asked.push({ what: [key, nodes], caller });
      return { nodes: [], lagMs: 7 };
    },
    findNode: async (selector: NodeSelector, caller: Caller) => {
      asked.push({ what: selector, caller });
      return {
        node: { label: 'disk0' },
        links: [
          { gateway: 'a.1', number: 1, link: { id: 'a.1:1' } },
          { gateway: 'a.1', number: 2, link: undefined },
        ],
      };
    },
    stop: () => state.stopped++,
  } as unknown as DirectoryCalls;
  const of = new Messaging(
    { gateway: () => 'a.00000001' },
    {
      directory,
      clients: { openRoute: () => null },
      reports: new Reports(),
      metrics,
      clock: new FakeClock(),
      logger: createLogger({ level: 'silent', service: 'test' }),
    },
  );
  const open = (host: string): FakeRoute => {
    const route = new FakeRoute(host);
    of.implementation.openRoute(route as unknown as Parameters<typeof of.implementation.openRoute>[0]);
    return route;
  };
  /** Makes a call; `call` is its server's end. */
  const ask = <Request, Answer>(handler: handleUnaryCall<Request, Answer>, request: Request) => {
    const call = Object.assign(new FakeRoute('192.0.2.1'), { request });
    const answer = new Promise<Answer>((resolve, reject) => {
      handler(call as unknown as ServerUnaryCall<Request, Answer>, (error, value) => {
        if (value != null) resolve(value);
        else reject(error);
      });
    });
    return { call, answer };
  };
  return { of, open, ask, asked, state, metrics };
}

const CLUSTER: ClusterKey = {
  dialect: Dialect.DIALECT_LINKID,
  id: '0B8F1A52-6C3D-11E4-8A21-01A2B3C4D5E6',
  peerType: 3,
  peerLabel: 'not in linkid',
};
const CANONICAL = { ...CLUSTER, id: CLUSTER.id.toLowerCase(), peerType: 0, peerLabel: '' };
const NODE: NodeSelector = { key: undefined, dialect: CLUSTER.dialect, clusterId: CLUSTER.id, node: 'disk0' };

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

describe('a call of a client', () => {
  it('acquires a cluster, renews it and releases it', async () => {
    const { of, ask, metrics } = messaging();
    const { acquireCluster, renewClusters, releaseCluster } = of.implementation;
    const { handle, leaseMs } = await ask(acquireCluster, { cluster: CLUSTER, leaseMs: 1000 }).answer;
    expect([leaseMs, of.counts()]).toEqual([1000, { handles: 1, heldClusters: 1, routeCalls: 0, routeLinks: 0 }]);
    await ask(acquireCluster, { cluster: CLUSTER, leaseMs: 0 }).answer;
    expect(of.counts()).toMatchObject({ handles: 2, heldClusters: 1 });
    const text = await metrics.text();
    for (const line of ['handles 2', 'held_clusters 1', 'waiting 3', 'routes 0']) {
      expect(text).toContain(`\nspanmesh_messaging_${line}\n`);
    }
    expect(await ask(renewClusters, { handles: [handle] }).answer).toEqual({});
    expect(await ask(releaseCluster, { handle }).answer).toEqual({});
    await expect(ask(renewClusters, { handles: [handle] }).answer).rejects.toMatchObject({ code: status.NOT_FOUND });
    const invalid = { code: status.INVALID_ARGUMENT };
    await expect(ask(acquireCluster, { cluster: undefined, leaseMs: 0 }).answer).rejects.toMatchObject(invalid);
    expect(of.counts()).toMatchObject({ handles: 1 });
  });

  it('waits for a cluster, by its canonical key, and for one node at least, until the client has gone', async () => {
    const { of, ask, asked } = messaging();
    const { waitCluster } = of.implementation;
    const { call, answer } = ask(waitCluster, { cluster: CLUSTER, nodes: 0 });
    expect(await answer).toEqual({ nodes: [], lagMs: 7 });
    await ask(waitCluster, { cluster: CLUSTER, nodes: 5 }).answer;
    expect(asked.map(({ what }) => what)).toEqual([
      [CANONICAL, 1],
      [CANONICAL, 5],
    ]);
    const caller = asked[0]?.caller;
    expect([caller?.principal, caller?.signal.aborted]).toEqual(['192.0.2.1', false]);
    call.emit('cancelled');
    expect(caller?.signal.aborted).toBe(true);
    const bad = ask(waitCluster, { cluster: { ...CLUSTER, id: 'x' }, nodes: 1 }).answer;
    await expect(bad).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('finds a node with the links that topology tells more of', async () => {
    const { of, ask, asked } = messaging();
    const { resolveNode } = of.implementation;
    const found = await ask(resolveNode, { node: NODE }).answer;
    expect(found).toEqual({ node: { label: 'disk0' }, links: [{ id: 'a.1:1' }] });
    expect(asked[0]?.what).toMatchObject({ clusterId: CANONICAL.id, node: 'disk0' });
    const none = ask(resolveNode, { node: undefined }).answer;
    await expect(none).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(asked).toHaveLength(1);
  });

  // Causes: code messaging/messaging.ts UNAVAILABLE
  it('is refused once the gateway is about to stop; what is open goes on until it stops', async () => {
    const { of, ask, open, asked, state } = messaging();
    const { acquireCluster, waitCluster } = of.implementation;
    const route = open('192.0.2.1');
    await ask(acquireCluster, { cluster: CLUSTER, leaseMs: 0 }).answer;
    of.takeNoMore();
    const stopping = { code: status.UNAVAILABLE, details: 'This gateway stops: use another one.' };
    await expect(ask(waitCluster, { cluster: CLUSTER, nodes: 1 }).answer).rejects.toMatchObject(stopping);
    expect(open('192.0.2.2').error).toMatchObject(stopping);
    expect([route.error, of.counts().routeCalls, of.counts().handles, asked, state.stopped]).toEqual([
      null,
      1,
      1,
      [],
      0,
    ]);
    of.stop();
    expect(route.error).toMatchObject(stopping);
    expect([of.counts(), state.stopped]).toEqual([{ handles: 0, heldClusters: 0, routeCalls: 0, routeLinks: 0 }, 1]);
  });

  it('is refused by a gateway that has stopped', async () => {
    const { of, ask } = messaging();
    of.stop();
    const late = ask(of.implementation.acquireCluster, { cluster: CLUSTER, leaseMs: 0 }).answer;
    await expect(late).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });
});
