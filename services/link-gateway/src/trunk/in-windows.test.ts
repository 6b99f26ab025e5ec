import { beforeEach, describe, expect, it } from 'vitest';
import { SHARED_WINDOW } from './credit.ts';
import { InWindows } from './in-windows.ts';
import type { Credit } from './messages.ts';
import { FakePressure } from './trunk.fixture.ts';
import { WindowShares } from './window-shares.ts';

let told: Credit[];
let windows: InWindows;

beforeEach(() => {
  told = [];
  const pressure = new FakePressure();
  const destinations = { connectionOfLink: () => 0, pressureOfConnection: () => pressure };
  const shares = new WindowShares({ sendLimit: 16 * 1024 * 1024 });
  windows = new InWindows({ destinations, shares }, (credit) => void told.push(credit));
});

describe('names of windows', () => {
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

  it('are not used again before, since what was charged to them may still come', () => {
    const first = windows.take(1);
    windows.leave(first);
    const second = windows.take(2);
    expect(second.id).not.toBe(first.id);
    windows.freed(first.id);
    expect(windows.take(3).id).toBe(first.id);
  });

  it('are not freed by whoever says so of one that is in use, shared, unknown, or free already', () => {
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
