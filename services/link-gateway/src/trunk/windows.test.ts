import { describe, expect, it } from 'vitest';
import { InWindow, OutWindow, release, SHARED_WINDOW } from './credit.ts';
import { InWindows } from './in-windows.ts';
import { LARGEST_WINDOW_BYTES, MAX_OUT_WINDOWS, WINDOW_BYTES } from './limits.ts';
import type { Credit } from './messages.ts';
import { OutWindows } from './out-windows.ts';
import { FakePressure } from './trunk.fixture.ts';
import { WindowShares } from './window-shares.ts';

const HALF = WINDOW_BYTES / 2;

describe('the window of a sender', () => {
  it('counts nothing at the beginning, and opens only with counts that make sense', () => {
    const window = new OutWindow(7);
    expect([window.id, window.sent, window.consumed, window.isShut]).toEqual([7, 0, 0, false]);
    window.sent = WINDOW_BYTES;
    let rechecks = 0;
    const waiter = { recheck: () => rechecks++ };
    window.waiting.add(waiter);
    // Nothing, more than was sent, and less than before.
    for (const consumed of [0, WINDOW_BYTES + 1, -1]) window.credited(consumed, LARGEST_WINDOW_BYTES);
    expect([window.isShut, window.consumed, rechecks]).toEqual([true, 0, 0]);
    window.sent = 3 * WINDOW_BYTES;
    window.credited(WINDOW_BYTES, 2 * WINDOW_BYTES);
    expect([window.isShut, rechecks, window.waiting.size]).toEqual([true, 0, 1]);
    window.credited(WINDOW_BYTES + 1, 2 * WINDOW_BYTES);
    expect([window.isShut, rechecks, window.waiting.size]).toEqual([false, 1, 0]);
    window.credited(3 * WINDOW_BYTES, 2 * WINDOW_BYTES);
    expect(window.consumed).toBe(3 * WINDOW_BYTES);
  });

  it('that the other side has closed holds up nobody', () => {
    const windows = new OutWindows();
    const window = windows.named(9);
    window.sent = 100 * WINDOW_BYTES;
    let rechecks = 0;
    window.waiting.add({ recheck: () => rechecks++ });
    windows.credited(9, 1, WINDOW_BYTES);
    windows.credited(10, 1, WINDOW_BYTES);
    expect([window.consumed, window.isShut]).toEqual([1, true]);
    windows.closed(9);
    expect([window.isShut, rechecks, window.waiting.size]).toEqual([false, 1, 0]);
    expect(windows.named(9)).not.toBe(window);
    // The shared one stays as it is.
    windows.shared.sent = WINDOW_BYTES;
    windows.closed(SHARED_WINDOW);
    expect([windows.shared.isShut, windows.shared.id]).toEqual([true, SHARED_WINDOW]);
    expect(MAX_OUT_WINDOWS).toBe(65_536);
  });

  it('lets all that wait check again, once, also if they must go on waiting', () => {
    const waiting = new Set<{ recheck(): void }>();
    let rechecks = 0;
    const waiter = {
      recheck: () => {
        rechecks++;
        waiting.add(waiter);
      },
    };
    waiting.add(waiter);
    release(waiting);
    expect([rechecks, waiting.size]).toEqual([1, 1]);
  });
});

describe('the window of a receiver', () => {
  function into(drain: FakePressure | null, share = LARGEST_WINDOW_BYTES) {
    const told: Credit[] = [];
    return {
      told,
      window: new InWindow(
        7,
        drain,
        () => share,
        (credit) => void told.push(credit),
      ),
    };
  }

  it('tells what it has consumed after each half of the smallest window', () => {
    const { told, window } = into(null);
    window.received(HALF - 1);
    expect(told).toEqual([]);
    window.received(1);
    expect(told).toEqual([{ window: 7, consumed: HALF, limit: 2 * WINDOW_BYTES, isClosed: false }]);
    window.received(HALF - 1);
    expect(told).toHaveLength(1);
    window.received(1);
    expect(told.at(-1)).toEqual({ window: 7, consumed: WINDOW_BYTES, limit: 4 * WINDOW_BYTES, isClosed: false });
    window.close();
    expect(told.at(-1)).toEqual({ window: 7, consumed: WINDOW_BYTES, limit: 4 * WINDOW_BYTES, isClosed: true });
  });

  it('grows while the connection has the smallest window queued, not past that, and is never smaller', () => {
    const drain = new FakePressure();
    const { told, window } = into(drain);
    drain.queuedBytes = WINDOW_BYTES;
    window.received(HALF);
    drain.queuedBytes++;
    window.received(HALF);
    expect(told.map(({ limit }) => limit / WINDOW_BYTES)).toEqual([2, 2]);
    const small = into(drain, 1);
    small.window.received(HALF);
    expect(small.told.map(({ limit }) => limit)).toEqual([WINDOW_BYTES]);
  });

  it('waits once while the pressure is high, also past its end', () => {
    const drain = new FakePressure();
    const { told, window } = into(drain);
    drain.isHigh = true;
    window.received(HALF);
    window.received(4 * HALF);
    drain.low();
    expect(told).toEqual([{ window: 7, consumed: 5 * HALF, limit: WINDOW_BYTES, isClosed: false }]);
    drain.isHigh = true;
    window.received(HALF);
    window.close();
    drain.low();
    expect(told).toHaveLength(2);
    expect(told.at(-1)?.isClosed).toBe(true);
  });
});

describe('the windows of a trunk', () => {
  it('take their shares of a connection, and give them back', () => {
    const shares = new WindowShares({ sendLimit: 16 * 1024 * 1024 });
    const pressures = new Map([[1, new FakePressure()]]);
    const destinations = {
      connectionOfLink: () => 0,
      pressureOfConnection: (connection: number) => pressures.get(connection) ?? null,
    };
    const told: Credit[] = [];
    const windows = new InWindows({ destinations, shares }, (credit) => void told.push(credit));
    expect([windows.named, shares.size]).toEqual([0, 0]);
    const window = windows.take(1);
    expect([windows.named, shares.size, window.routes]).toEqual([1, 1, 1]);
    // A connection that is gone has none.
    expect([windows.take(2).id, windows.named, shares.size]).toEqual([SHARED_WINDOW, 1, 1]);
    windows.received(window.id, HALF);
    windows.received(SHARED_WINDOW, HALF);
    windows.received(window.id, HALF);
    windows.received(99, HALF);
    expect(told.map(({ window: id, consumed }) => [id, consumed])).toEqual([
      [window.id, HALF],
      [SHARED_WINDOW, HALF],
      [window.id, WINDOW_BYTES],
    ]);
    windows.leave(window);
    expect([windows.named, shares.size, told.at(-1)?.isClosed]).toEqual([1, 0, true]);
    windows.freed(window.id);
    expect(windows.named).toBe(0);
    windows.take(1);
    windows.clear();
    expect(shares.size).toBe(0);
  });

  it('to a connection that has gone with its trunk give back nothing twice', () => {
    const shares = new WindowShares({ sendLimit: 16 * 1024 * 1024 });
    const destinations = { connectionOfLink: () => 0, pressureOfConnection: () => new FakePressure() };
    const windows = new InWindows({ destinations, shares }, () => {});
    const window = windows.take(1);
    shares.opened(1);
    windows.clear();
    windows.leave(window);
    expect(shares.size).toBe(1);
    shares.closed(1);
    shares.closed(1);
    expect([shares.size, shares.shareOf(1)]).toEqual([0, LARGEST_WINDOW_BYTES]);
  });
});
