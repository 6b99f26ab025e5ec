import { describe, expect, it } from 'vitest';
import { LARGEST_WINDOW_BYTES, WINDOW_BYTES } from './limits.ts';
import { WindowShares } from './window-shares.ts';

describe('windows that lead to one connection', () => {
  it('share a quarter of its send limit, and are never smaller than WINDOW_BYTES', () => {
    const shares = new WindowShares({ sendLimit: 16 * 1024 * 1024 });
    expect(shares.shareOf(1)).toBe(LARGEST_WINDOW_BYTES);
    for (let n = 0; n < 4; n++) shares.opened(1);
    shares.opened(2);
    expect([shares.shareOf(1), shares.shareOf(2)]).toEqual([1024 * 1024, LARGEST_WINDOW_BYTES]);
    for (let n = 0; n < 100; n++) shares.opened(1);
    expect(shares.shareOf(1)).toBe(WINDOW_BYTES);
    for (let n = 0; n < 104; n++) shares.closed(1);
    expect(shares.shareOf(1)).toBe(LARGEST_WINDOW_BYTES);
    expect(new WindowShares({ sendLimit: 1000 }).shareOf(1)).toBe(WINDOW_BYTES);
  });
});
