import { describe, expect, it } from 'vitest';
import { InWindow, OutWindow } from './credit.ts';
import { LARGEST_WINDOW_BYTES, WINDOW_BYTES } from './limits.ts';
import type { Credit } from './messages.ts';
import { FakePressure } from './trunk.fixture.ts';

const HALF = WINDOW_BYTES / 2;

/** The two sides of a window, connected directly. */
function setUp(share = LARGEST_WINDOW_BYTES) {
  const drain = new FakePressure();
  const credits: Credit[] = [];
  const out = new OutWindow(7);
  const tell = (credit: Credit) => {
    credits.push(credit);
    out.credited(credit.consumed, credit.limit);
  };
  const into = new InWindow(7, drain, () => share, tell);
  const send = (bytes: number) => {
    out.sent += bytes;
    into.received(bytes);
  };
  return { drain, credits, out, send, limits: () => credits.map(({ limit }) => limit / WINDOW_BYTES) };
}

describe('a window', () => {
  // Limits: trunk/limits.ts WINDOW_BYTES
  it('doubles while its connection keeps up, up to its share', () => {
    const { send, limits, out } = setUp(5 * WINDOW_BYTES);
    for (let n = 0; n < 5; n++) send(HALF);
    expect(limits()).toEqual([2, 4, 5, 5, 5]);
    out.sent += 5 * WINDOW_BYTES - 1;
    expect(out.isShut).toBe(false);
    out.sent++;
    expect(out.isShut).toBe(true);
  });

  it('keeps its size while more than the smallest window is queued, and is small again once the pressure is high', () => {
    const { send, limits, drain, credits } = setUp();
    send(HALF);
    drain.queuedBytes = WINDOW_BYTES + 1;
    send(HALF);
    drain.isHigh = true;
    send(HALF);
    send(HALF);
    expect(limits()).toEqual([2, 2]);
    drain.queuedBytes = 0;
    drain.low();
    expect(limits()).toEqual([2, 2, 1]);
    expect(credits.at(-1)?.consumed).toBe(4 * HALF);
  });

  // Limits: trunk/limits.ts LARGEST_WINDOW_BYTES
  it('stays between the smallest and the largest limit, whatever the other side says', () => {
    const out = new OutWindow(7);
    out.sent = WINDOW_BYTES;
    out.credited(1, 0);
    out.sent = WINDOW_BYTES;
    expect(out.isShut).toBe(false);
    out.credited(2, 0xffff_ffff);
    out.sent = LARGEST_WINDOW_BYTES + 2;
    expect(out.isShut).toBe(true);
  });
});
