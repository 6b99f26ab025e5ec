import { status } from '@grpc/grpc-js';
import { StateChangeParts } from '@spanmesh/proto/state-change';
import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import { type ClusterKey, Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { CallShares } from '@spanmesh/runtime/grpc/call-shares';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { describe, expect, it } from 'vitest';
import { Reports } from '../attach/reports.ts';
import { Handles } from './handles.ts';
import { HeldClusters } from './held-clusters.ts';
import { DEFAULT_LEASE_MS, MAX_HANDLES, MAX_HANDLES_PER_USER, MAX_LEASE_MS, MAX_RENEWALS } from './limits.ts';

const cluster = (n: number): ClusterKey => ({
  dialect: Dialect.DIALECT_LINKID,
  id: `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`,
  peerType: 0,
  peerLabel: '',
});
const PART_BYTES = 1024 * 1024;
/** The held clusters in a snapshot. */
const cut = (held: HeldClusters) => {
  const parts = new StateChangeParts(PART_BYTES);
  held.cut(parts);
  return parts.all.flatMap(({ clustersHeld }) => clustersHeld);
};
const logger = createLogger({ level: 'silent', service: 'test' });
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function world({ total = MAX_HANDLES, share = MAX_HANDLES_PER_USER } = {}) {
  const clock = new FakeClock();
  const shares = new CallShares({ handles: { total, share } }, { clock, logger });
  const reports = new Reports();
  reports.begin();
  const held = new HeldClusters(reports);
  const all = new Handles({ held, clock, shares });
  const of = (user: string) => ({
    acquire: (key: ClusterKey, leaseMs: number) => all.acquire(key, leaseMs, user),
    renew: (ids: readonly string[]) => all.renew(ids),
    release: (id: string) => all.release(id),
    clear: () => all.clear(),
    get size() {
      return all.size;
    },
  });
  const handles = of('ann');
  /** The changes that are reported to topology at the end of the turn. */
  const told = async () => {
    await turn();
    const [{ clustersHeld, clustersReleased } = StateChange.create()] = reports.take(PART_BYTES);
    return { held: clustersHeld, released: clustersReleased };
  };
  return { clock, held, handles, of, told };
}

describe('handles', () => {
  // Limits: messaging/limits.ts MAX_HANDLES, messaging/limits.ts MAX_HANDLES_PER_USER
  it('are limited in number, in all and for one user, until one is released', () => {
    const { handles, of, clock } = world();
    const ids = Array.from({ length: MAX_HANDLES_PER_USER }, () => handles.acquire(cluster(1), 0).handle);
    const tooMany = expect.objectContaining({ code: status.RESOURCE_EXHAUSTED });
    expect(() => handles.acquire(cluster(1), 0)).toThrow(tooMany);
    const bob = of('bob');
    for (let i = MAX_HANDLES_PER_USER; i < MAX_HANDLES; i++) bob.acquire(cluster(1), 0);
    expect(handles.size).toBe(100_000);
    // A newcomer gets a place; the user that has most loses a handle.
    expect(() => of('eve').acquire(cluster(1), 0)).not.toThrow();
    expect(() => bob.acquire(cluster(1), 0)).toThrow(tooMany);
    expect(handles.size).toBe(100_000);
    handles.release(ids[0]!);
    handles.acquire(cluster(2), 0);
    expect(() => handles.acquire(cluster(2), 0)).toThrow(tooMany);
    handles.clear();
    expect([handles.size, clock.pending]).toEqual([0, 0]);
  });

  // Limits: messaging/limits.ts MAX_RENEWALS
  // Causes: code messaging/handles.ts INVALID_ARGUMENT
  it('are renewed a thousand at a time', () => {
    const { handles } = world();
    const { handle } = handles.acquire(cluster(1), 0);
    const many = Array.from({ length: MAX_RENEWALS }, () => handle);
    handles.renew(many);
    expect(() => handles.renew([...many, handle])).toThrow(
      expect.objectContaining({ code: status.INVALID_ARGUMENT, details: 'A call renews at most 1000 handles.' }),
    );
  });

  it('are released when their lease runs out, unless renewed', async () => {
    const { clock, handles, told } = world();
    const { handle: short } = handles.acquire(cluster(1), 1000);
    const { handle: renewed } = handles.acquire(cluster(2), 1000);
    const { leaseMs } = handles.acquire(cluster(3), 0);
    expect(leaseMs).toBe(DEFAULT_LEASE_MS);
    expect(await told()).toEqual({ held: [cluster(1), cluster(2), cluster(3)], released: [] });
    clock.advance(999);
    handles.renew([renewed]);
    clock.advance(1);
    expect(await told()).toEqual({ held: [], released: [cluster(1)] });
    expect(() => handles.renew([short, renewed])).toThrow(
      expect.objectContaining({ code: status.NOT_FOUND, details: expect.stringContaining(short) }),
    );
    clock.advance(999);
    expect(handles.size).toBe(2);
    clock.advance(1);
    expect(await told()).toEqual({ held: [], released: [cluster(2)] });
    clock.advance(DEFAULT_LEASE_MS);
    expect(await told()).toEqual({ held: [], released: [cluster(3)] });
    expect(clock.pending).toBe(0);
  });

  // Causes: code messaging/handles.ts NOT_FOUND
  it('that exist are renewed even if others in the call are gone', () => {
    const { clock, handles } = world();
    const { handle } = handles.acquire(cluster(1), 1000);
    clock.advance(900);
    expect(() => handles.renew(['gone', handle])).toThrow(expect.objectContaining({ code: status.NOT_FOUND }));
    clock.advance(900);
    expect(handles.size).toBe(1);
  });

  it('on one cluster are told to topology as one hold', async () => {
    const { handles, told } = world();
    const [a, b] = [handles.acquire(cluster(1), 0), handles.acquire(cluster(1), 0)];
    expect(a.handle).not.toBe(b.handle);
    expect(await told()).toEqual({ held: [cluster(1)], released: [] });
    handles.release(a.handle);
    handles.release(a.handle);
    expect(await told()).toEqual({ held: [], released: [] });
    handles.release(b.handle);
    expect(await told()).toEqual({ held: [], released: [cluster(1)] });
  });

  it('that are acquired and released within a turn are not told: a delta has no order', async () => {
    const { handles, told } = world();
    handles.release(handles.acquire(cluster(1), 0).handle);
    expect(await told()).toEqual({ held: [], released: [] });
    const { handle } = handles.acquire(cluster(2), 0);
    await told();
    handles.release(handle);
    handles.acquire(cluster(2), 0);
    expect(await told()).toEqual({ held: [], released: [] });
  });

  it('are in the snapshot, and only later changes are told', async () => {
    const { handles, held, told } = world();
    const { handle } = handles.acquire(cluster(1), 0);
    // The snapshot is made in the same turn: a hold in it is not reported again.
    expect(cut(held)).toEqual([cluster(1)]);
    expect(await told()).toEqual({ held: [], released: [] });
    handles.release(handle);
    expect(cut(held)).toEqual([]);
    expect(await told()).toEqual({ held: [], released: [] });
  });

  it('are limited in number, and their leases in time', () => {
    const { handles } = world({ total: 2 });
    handles.acquire(cluster(1), 0);
    expect(() => handles.acquire(cluster(2), MAX_LEASE_MS + 1)).toThrow(
      expect.objectContaining({ code: status.INVALID_ARGUMENT }),
    );
    handles.acquire(cluster(2), MAX_LEASE_MS);
    expect(() => handles.acquire(cluster(3), 0)).toThrow(expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }));
    expect(() => handles.renew(Array.from({ length: 1001 }, String))).toThrow(
      expect.objectContaining({ code: status.INVALID_ARGUMENT }),
    );
    handles.clear();
    expect(handles.size).toBe(0);
  });

  it('are refused to a user beyond its share, not to others; when all are taken the user with most loses one to a newcomer', async () => {
    const { handles: ann, of, told } = world({ total: 4, share: 3 });
    const anns = new Map([1, 2, 3].map((n) => [cluster(n).id, ann.acquire(cluster(n), 0).handle]));
    expect(() => ann.acquire(cluster(4), 0)).toThrow(expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }));
    const bob = of('bob');
    bob.acquire(cluster(11), 0);
    await told();
    const { handle } = bob.acquire(cluster(12), 0);
    const { held, released } = await told();
    expect([held, released.length]).toEqual([[cluster(12)], 1]);
    expect(ann.size).toBe(4);
    bob.renew([handle]);
    const gone = anns.get(released[0]!.id)!;
    expect(() => ann.renew([...anns.values()])).toThrow(
      expect.objectContaining({ code: status.NOT_FOUND, details: expect.stringMatching(new RegExp(`: ${gone}$`)) }),
    );
    // All users have the same number of handles: nobody gives way.
    expect(() => bob.acquire(cluster(13), 0)).toThrow(expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }));
    ann.clear();
    expect(ann.size).toBe(0);
    expect(bob.acquire(cluster(13), 0).handle).not.toBe(handle);
  });
});
