import { Client, status } from '@grpc/grpc-js';
import {
  DirectoryService,
  type FindClusterRequest,
  type FindNodeRequest,
  FindNodeResponse,
} from '@spanmesh/proto/v1/directory';
import { type ClusterKey, Dialect } from '@spanmesh/proto/v1/types';
import type { Happened } from '@spanmesh/runtime/events/event-teller';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { LimitsHit } from '@spanmesh/runtime/shares/limits-hit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DirectoryCalls } from './directory-calls.ts';
import { ASK_AGAIN_MS, MAX_QUESTIONS, MAX_QUESTIONS_PER_USER, MAX_WAITING, MAX_WAITING_PER_USER } from './limits.ts';

const cluster = (n: number): ClusterKey => ({
  dialect: Dialect.DIALECT_LINKID,
  id: `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`,
  peerType: 0,
  peerLabel: '',
});

describe('questions about nodes and clusters, while nobody leads', () => {
  let clock: FakeClock;
  let calls: DirectoryCalls;
  let told: Happened[];
  let hits: LimitsHit;
  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    hits = new LimitsHit();
    const events = { tell: (happened: Happened) => void told.push(happened) };
    const logger = createLogger({ level: 'silent', service: 'test' });
    calls = new DirectoryCalls({ gateway: () => 'gw.1', address: () => null }, { clock, logger, events, hits });
  });
  afterEach(() => calls.stop());

  /** The status that the call fails with; null: it still waits. */
  async function failure(asked: Promise<unknown>): Promise<status | null> {
    const failed = asked.then(
      () => status.OK,
      (error: { code: status }) => error.code,
    );
    return Promise.race([failed, new Promise<null>((resolve) => setImmediate(() => resolve(null)))]);
  }

  /** The status that the call fails with, which must not wait any more. */
  async function given(asked: Promise<unknown>): Promise<status> {
    const failed = await failure(asked);
    if (failed === null) throw new Error('it still waits');
    return failed;
  }

  function ask(n: number, { signal } = new AbortController(), principal = 'a'): Promise<unknown> {
    const asked = calls.findCluster(cluster(n), 1, { signal, principal });
    asked.catch(() => {});
    return asked;
  }

  // Limits: messaging/limits.ts MAX_QUESTIONS, messaging/limits.ts MAX_QUESTIONS_PER_USER
  it('are limited in number, in all and for one user; a call that asks the same question waits for its answer and does not count', async () => {
    const greedy = Array.from({ length: MAX_QUESTIONS_PER_USER }, (_, n) => ask(n));
    expect(await failure(ask(MAX_QUESTIONS))).toBe(status.RESOURCE_EXHAUSTED);
    const others = Array.from({ length: MAX_QUESTIONS_PER_USER - 1 }, (_, n) => ask(1000 + n, undefined, 'b'));
    // This question is being asked already for another user, so it does not count for this one.
    expect(await failure(ask(0, undefined, 'c'))).toBeNull();
    expect(await failure(ask(2000, undefined, 'c'))).toBeNull();
    expect(calls.waiting).toBe(MAX_QUESTIONS + 1);
    // All questions are taken: the user that has most gives way to a newcomer, one at a time.
    expect(await failure(ask(2001, undefined, 'd'))).toBeNull();
    expect(await given(greedy.at(-1) ?? greedy[0]!)).toBe(status.RESOURCE_EXHAUSTED);
    expect(await failure(others[0]!)).toBeNull();
    expect(calls.waiting).toBe(MAX_QUESTIONS + 1);
    expect(told.map(({ principal, limit }) => [principal, limit?.ofAll, limit?.value])).toEqual([
      ['a', false, MAX_QUESTIONS_PER_USER],
    ]);
    expect(hits.all.map(({ principal }) => principal)).toEqual(['a']);
  });

  it('count for another user that waits for the answer once the first one has given up', async () => {
    const [leaves, stays] = [new AbortController(), new AbortController()];
    const asked = Array.from({ length: MAX_QUESTIONS_PER_USER }, (_, n) => ask(n, leaves, 'a'));
    const also = ask(0, stays, 'b');
    leaves.abort();
    for (const one of asked) expect(await given(one)).toBe(status.CANCELLED);
    expect(await failure(also)).toBeNull();
    // The question that both asked counts for b now, so b can ask all but one more; a can ask again.
    const more = Array.from({ length: MAX_QUESTIONS_PER_USER }, (_, n) => ask(1000 + n, stays, 'b'));
    expect(await failure(more.at(-2)!)).toBeNull();
    expect(await failure(more.at(-1)!)).toBe(status.RESOURCE_EXHAUSTED);
    expect(await failure(ask(MAX_QUESTIONS_PER_USER, stays, 'a'))).toBeNull();
  });

  it('that other users wait for, too, go on when the user that they count for must give way', async () => {
    const greedy = Array.from({ length: MAX_QUESTIONS_PER_USER }, (_, n) => ask(n));
    const also = ask(MAX_QUESTIONS_PER_USER - 1, undefined, 'b');
    for (let n = 0; n < MAX_QUESTIONS_PER_USER - 1; n++) void ask(1000 + n, undefined, 'c');
    void ask(2000, undefined, 'd');
    void ask(2001, undefined, 'e');
    void ask(2002, undefined, 'f');
    expect(await given(greedy.at(-1)!)).toBe(status.RESOURCE_EXHAUSTED);
    expect(await failure(also)).toBeNull();
  });

  // Limits: messaging/limits.ts MAX_WAITING, messaging/limits.ts MAX_WAITING_PER_USER
  it('are waited for by a bounded number of calls, in all and of one user, and calls that are given up leave nothing', async () => {
    const askers = Array.from({ length: MAX_WAITING }, () => new AbortController());
    const asked = askers.map((asker, n) => ask(n % 10, asker, n < MAX_WAITING_PER_USER ? 'a' : `b${n % 2}`));
    expect(calls.waiting).toBe(MAX_WAITING);
    expect(await failure(ask(0))).toBe(status.RESOURCE_EXHAUSTED);
    expect(await failure(asked[0]!)).toBeNull();
    // The last call of the user that has most gives way to a newcomer.
    expect(await failure(ask(0, askers[0], 'c'))).toBeNull();
    expect(await given(asked[MAX_WAITING_PER_USER - 1]!)).toBe(status.RESOURCE_EXHAUSTED);
    expect(calls.waiting).toBe(MAX_WAITING);
    expect(told.at(-1)).toMatchObject({ principal: 'a', limit: { limit: 'waiting calls', ofAll: false } });
    for (const asker of askers) asker.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls.waiting).toBe(0);
    expect(await failure(ask(0))).toBeNull();
  });

  // Causes: code messaging/directory-calls.ts UNAVAILABLE
  it('are not asked for a caller that has given up, nor once the gateway stops', async () => {
    expect(await failure(calls.findCluster(cluster(1), 1, { signal: AbortSignal.abort(), principal: 'a' }))).toBe(
      status.CANCELLED,
    );
    const waits = ask(1);
    calls.stop();
    expect(await failure(waits)).toBe(status.UNAVAILABLE);
    expect(await failure(ask(1))).toBe(status.UNAVAILABLE);
    expect([calls.waiting, clock.pending]).toEqual([0, 0]);
  });
});

it('are asked again, of the leader and with the id that the gateway has then, when another replica leads', async () => {
  const clock = new FakeClock();
  const logger = createLogger({ level: 'silent', service: 'test' });
  /** The replica and the id of the gateway of each question. Topology answers when the cluster has its nodes: never. */
  const asked: string[] = [];
  const servers: GrpcServer[] = [];
  const replica = async (name: string): Promise<string> => {
    const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(DirectoryService, {
      findNode: () => {},
      findCluster: ({ request }: { readonly request: FindClusterRequest }) =>
        void asked.push(`${name} ${request.gateway}`),
    });
    servers.push(server);
    return `127.0.0.1:${await server.start()}`;
  };
  let leader = await replica('first');
  let gateway = 'gw.1';
  const calls = new DirectoryCalls({ gateway: () => gateway, address: () => leader }, { clock, logger });
  const waits = calls.findCluster(cluster(1), 1, { signal: new AbortController().signal, principal: 'a' });
  waits.catch(() => {});
  await until(() => asked.length === 1);
  leader = await replica('second');
  gateway = 'gw.2';
  calls.askAgain();
  await until(() => clock.pending === 1);
  clock.advance(ASK_AGAIN_MS);
  await until(() => asked.length === 2);
  expect([asked, calls.waiting]).toEqual([['first gw.1', 'second gw.2'], 1]);
  calls.stop();
  await expect(waits).rejects.toMatchObject({ code: status.UNAVAILABLE });
  for (const server of servers) await server.stop(0);
});

it('about nodes are asked with the id of the gateway, over one channel to the leader, which is closed after it', async () => {
  const close = vi.spyOn(Client.prototype, 'close');
  const logger = createLogger({ level: 'silent', service: 'test' });
  const asked: FindNodeRequest[] = [];
  const servers: GrpcServer[] = [];
  const replica = async (): Promise<string> => {
    const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(DirectoryService, {
      findCluster: () => {},
      findNode: (
        { request }: { readonly request: FindNodeRequest },
        answer: (error: null, found: FindNodeResponse) => void,
      ) => {
        asked.push(request);
        answer(null, FindNodeResponse.fromPartial({ lagMs: asked.length }));
      },
    });
    servers.push(server);
    return `127.0.0.1:${await server.start()}`;
  };
  let leader = await replica();
  const deps = { clock: new FakeClock(), logger };
  const calls = new DirectoryCalls({ gateway: () => 'gw.1', address: () => leader }, deps);
  const node = { key: undefined, dialect: Dialect.DIALECT_LINKID, clusterId: cluster(1).id, node: 'disk0' };
  const ask = () => calls.findNode(node, { signal: new AbortController().signal, principal: 'a' });
  expect([(await ask()).lagMs, (await ask()).lagMs]).toEqual([1, 2]);
  expect([asked[0], close.mock.calls.length, calls.waiting]).toEqual([{ node, gateway: 'gw.1' }, 0, 0]);
  leader = await replica();
  expect((await ask()).lagMs).toBe(3);
  expect(close).toHaveBeenCalledOnce();
  calls.stop();
  expect(close).toHaveBeenCalledTimes(2);
  await expect(ask()).rejects.toMatchObject({ details: 'This gateway stops: use another one.' });
  vi.restoreAllMocks();
  for (const server of servers) await server.stop(0);
});
