import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Peer, Relay, RelaySource } from '../peers/peer.ts';
import { spanPayload } from '../testing/gateway.fixture.ts';
import type { LinkidRoute } from './linkid-route.ts';
import { useOf } from './relay-use.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import { ReturnPaths } from './return-paths.ts';

const IDLE_MS = 10_000;
/** Offset of dist in the payload of a LNK_SPAN. */
const DIST = 48;

describe('return paths', () => {
  let clock: FakeClock;
  let paths: ReturnPaths;
  /** The relay that the next `open` returns; null: there can be none. */
  let next: Relay | null;
  let closed: Relay[];
  const peer = {} as Peer;
  const user = {} as ReturnPathUser;
  beforeEach(() => {
    clock = new FakeClock();
    closed = [];
    next = relay();
    const relays = { returnPath: () => next, closeUnused: (one: Relay) => void closed.push(one) };
    paths = new ReturnPaths({ idleMs: IDLE_MS }, { relays, clock });
  });

  function relay(): Relay {
    return { tx: {}, wanted: false, closed: false, use: null } as unknown as Relay;
  }

  function source(dist = 0): RelaySource {
    const payload = Buffer.from(spanPayload('linkid'));
    payload.writeInt32LE(dist, DIST);
    return { payload } as unknown as RelaySource;
  }

  function open(dist = 0): Relay | null {
    return paths.open(source(dist), peer, user, clock.now());
  }

  // Limits: routing/return-paths.ts MAX_DIST
  it('lead to links up to dist 16', () => {
    expect(open(16)).toBe(next);
    expect(open(17)).toBeNull();
    expect(paths.onDemand).toBe(1);
  });

  it('cannot be opened where there is no relay, or its LNK_SPAN has not been sent', () => {
    next = { ...relay(), tx: null } as Relay;
    expect(open()).toBeNull();
    next = null;
    expect([open(), paths.onDemand, clock.pending]).toEqual([null, 0, 0]);
  });

  it('stay open while in use, and are closed when unused for the idle time', () => {
    const one = open()!;
    clock.advance(10 * IDLE_MS);
    expect(closed).toEqual([]);
    paths.release(one, user, clock.now());
    clock.advance(IDLE_MS - 1);
    expect(closed).toEqual([]);
    clock.advance(IDLE_MS);
    expect([closed, paths.onDemand, clock.pending]).toEqual([[one], 0, 0]);
  });

  it('count as used at the latest use, in whatever order their users release them', () => {
    const one = open()!;
    const other = {} as ReturnPathUser;
    paths.open(source(), peer, other, clock.now());
    clock.advance(1000);
    paths.release(one, user, 1000);
    paths.release(one, other, 500);
    paths.release(one, other, 5000);
    expect(useOf(one).usedAt).toBe(1000);
  });

  it('that topology wants are not closed as idle, until topology does not want them any more', () => {
    const one = open()!;
    Object.assign(one, { wanted: true });
    paths.release(one, user, 0);
    clock.advance(2 * IDLE_MS);
    expect([closed, paths.onDemand, clock.pending]).toEqual([[], 0, 0]);
    paths.open(source(), peer, user, clock.now());
    Object.assign(one, { wanted: false });
    paths.release(one, user, clock.now());
    clock.advance(2 * IDLE_MS);
    expect(closed).toEqual([one]);
  });

  it('that have closed are forgotten at once', () => {
    const one = open()!;
    paths.release(one, user, clock.now());
    paths.forget(one);
    expect(paths.onDemand).toBe(0);
    clock.advance(2 * IDLE_MS);
    expect([closed, clock.pending]).toEqual([[], 0]);
  });

  it('that have closed are not remembered again when a user ends later', () => {
    const one = open()!;
    paths.forget(one);
    Object.assign(one, { closed: true });
    paths.release(one, user, clock.now());
    expect(paths.onDemand).toBe(0);
  });

  it('close with their idle routes; routes with open transactions are not idle', () => {
    const route = (of: { open: number; usedAt: number }) => {
      const made = Object.assign({ ...of }, { close: () => void paths.routes.delete(made as unknown as LinkidRoute) });
      paths.add(made as unknown as LinkidRoute);
      return made;
    };
    route({ open: 0, usedAt: 0 });
    const busy = route({ open: 1, usedAt: 0 });
    clock.advance(IDLE_MS);
    expect([...paths.routes]).toEqual([busy]);
    busy.open = 0;
    clock.advance(IDLE_MS);
    expect([paths.routes.size, clock.pending]).toEqual([0, 0]);
    route({ open: 1, usedAt: 0 });
    paths.stop();
    expect(clock.pending).toBe(0);
  });
});
