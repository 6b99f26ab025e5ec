import { status } from '@grpc/grpc-js';
import { type ClusterKey, Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryCalls } from './directory-calls.ts';
import { MAX_QUESTIONS, MAX_WAITING } from './limits.ts';

const cluster = (n: number): ClusterKey => ({
  dialect: Dialect.DIALECT_LINKID,
  id: `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`,
  peerType: 0,
  peerLabel: '',
});

describe('questions about nodes and clusters, while nobody leads', () => {
  let clock: FakeClock;
  let calls: DirectoryCalls;
  beforeEach(() => {
    clock = new FakeClock();
    calls = new DirectoryCalls({ gateway: () => 'gw.1', address: () => null }, { clock });
  });
  afterEach(() => calls.stop());

  /** The status that the call fails with; null: it waits. */
  async function failure(asked: Promise<unknown>): Promise<status | null> {
    const failed = asked.then(
      () => status.OK,
      (error: { code: status }) => error.code,
    );
    return Promise.race([failed, new Promise<null>((resolve) => setImmediate(() => resolve(null)))]);
  }

  function ask(n: number, { signal } = new AbortController()): Promise<unknown> {
    const asked = calls.findCluster(cluster(n), 1, signal);
    asked.catch(() => {});
    return asked;
  }

  // Limits: messaging/limits.ts MAX_QUESTIONS
  it('are of so many different things at most; who wants to know one of them waits with the others', async () => {
    const asked = Array.from({ length: MAX_QUESTIONS }, (_, n) => ask(n));
    expect(await failure(asked.at(-1)!)).toBeNull();
    expect(await failure(ask(MAX_QUESTIONS))).toBe(status.RESOURCE_EXHAUSTED);
    expect(await failure(ask(0))).toBeNull();
    expect(calls.waiting).toBe(MAX_QUESTIONS + 1);
  });

  // Limits: messaging/limits.ts MAX_WAITING
  it('are waited for by so many at most, and leave nothing when they are given up', async () => {
    const askers = Array.from({ length: MAX_WAITING }, () => new AbortController());
    for (const [n, asker] of askers.entries()) void ask(n % 10, asker);
    expect(calls.waiting).toBe(MAX_WAITING);
    expect(await failure(ask(0))).toBe(status.RESOURCE_EXHAUSTED);
    for (const asker of askers) asker.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls.waiting).toBe(0);
    expect(await failure(ask(0))).toBeNull();
  });

  it('are not asked by whoever has given up, nor once the gateway stops', async () => {
    expect(await failure(calls.findCluster(cluster(1), 1, AbortSignal.abort()))).toBe(status.CANCELLED);
    const waits = ask(1);
    calls.stop();
    expect(await failure(waits)).toBe(status.UNAVAILABLE);
    expect(await failure(ask(1))).toBe(status.UNAVAILABLE);
    expect([calls.waiting, clock.pending]).toEqual([0, 0]);
  });
});
