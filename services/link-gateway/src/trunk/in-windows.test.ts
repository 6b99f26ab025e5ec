import { beforeEach, describe, expect, it } from 'vitest';
import { SHARED_WINDOW } from './credit.ts';
import { InWindows } from './in-windows.ts';
import { MAX_WINDOW } from './limits.ts';
import type { LocalDestinations } from './local-destinations.ts';
import type { Credit } from './messages.ts';
import { FakePressure } from './trunk.fixture.ts';
import { WindowShares } from './window-shares.ts';

let told: Credit[];
let windows: InWindows;
let shares: WindowShares;
let destinations: LocalDestinations;

beforeEach(() => {
  told = [];
  const pressure = new FakePressure();
  destinations = { connectionOfLink: () => 0, pressureOfConnection: () => pressure };
  shares = new WindowShares({ sendLimit: 16 * 1024 * 1024 });
  windows = new InWindows({ destinations, shares }, (credit) => void told.push(credit));
});

describe('windows that this side names', () => {
  it('are one for each connection, and leave nothing when the last route to it is gone', () => {
    const [one, other] = [windows.take(1), windows.take(2)];
    expect(windows.take(1)).toBe(one);
    expect(other).not.toBe(one);
    expect(windows.named).toBe(2);
    windows.leave(one);
    expect(windows.take(1)).toBe(one);
    windows.leave(one);
    windows.leave(one);
    windows.freed(one.id);
    expect(windows.named).toBe(1);
    // A message charged to the freed window is counted for no other one.
    const before = told.length;
    windows.received(one.id, 64 * 1024 * 1024);
    expect(told.length).toBe(before);
    windows.received(other.id, 64 * 1024 * 1024);
    expect(told.at(-1)).toMatchObject({ window: other.id });
  });

  it('are the shared one for routes to no connection, and the shared one is never closed', () => {
    const shared = windows.take(0);
    expect(shared.id).toBe(SHARED_WINDOW);
    windows.leave(shared);
    expect([windows.take(0), windows.named, told]).toEqual([shared, 0, []]);
  });

  it('give back their shares of a connection with the trunk', () => {
    const before = shares.shareOf(1);
    windows.take(1);
    windows.take(2);
    windows.clear();
    expect(shares.shareOf(1)).toBe(before);
    windows.leave(windows.take(3));
    expect(shares.shareOf(3)).toBe(before);
  });
});

describe('names of windows', () => {
  // Limits: trunk/limits.ts MAX_WINDOW
  it('are limited in number: further connections use the shared window until a name is free', () => {
    const few = new InWindows({ destinations, shares, lastName: SHARED_WINDOW + 3 }, () => {});
    const named = [1, 2, 3].map((connection) => few.take(connection));
    expect(named.map(({ id }) => id - SHARED_WINDOW)).toEqual([1, 2, 3]);
    expect(few.take(4).id).toBe(SHARED_WINDOW);
    few.leave(named[1]!);
    expect(few.take(5).id).toBe(SHARED_WINDOW);
    few.freed(SHARED_WINDOW + 2);
    expect(few.take(6).id).toBe(SHARED_WINDOW + 2);
    // Names have 24 bits.
    expect(MAX_WINDOW).toBe(0xff_ffff);
  });

  it('are used again once the other side has let go of them, so that they never run out', () => {
    const names = new Set<number>();
    for (let connection = 1; connection <= 1000; connection++) {
      const window = windows.take(connection);
      names.add(window.id);
      windows.leave(window);
      expect(told.pop()).toMatchObject({ window: window.id, isClosed: true });
      windows.freed(window.id);
    }
    expect([names.size, windows.named]).toEqual([1, 0]);
  });

  it('are not used again before that, since messages charged to them may still come', () => {
    const first = windows.take(1);
    windows.leave(first);
    const second = windows.take(2);
    expect(second.id).not.toBe(first.id);
    windows.freed(first.id);
    expect(windows.take(3).id).toBe(first.id);
  });

  it('are not freed by a WINDOW_FREED for a window that is in use, shared, unknown, or free already', () => {
    const used = windows.take(1);
    const closed = windows.take(2);
    windows.leave(closed);
    windows.freed(closed.id);
    for (const id of [used.id, SHARED_WINDOW, 77, closed.id]) windows.freed(id);
    const ids = [used.id, ...[3, 4, 5].map((connection) => windows.take(connection).id)];
    expect(new Set(ids).size).toBe(4);
    expect(ids).not.toContain(SHARED_WINDOW);
    expect(ids).not.toContain(77);
  });
});
