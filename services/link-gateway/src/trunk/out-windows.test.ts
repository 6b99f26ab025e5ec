import { describe, expect, it } from 'vitest';
import { SHARED_WINDOW } from './credit.ts';
import { MAX_OUT_WINDOWS } from './limits.ts';
import { OutWindows } from './out-windows.ts';

describe('windows that the other side has named', () => {
  // Limits: trunk/limits.ts MAX_OUT_WINDOWS
  it('are limited in number; further names mean the shared window until others are closed', () => {
    const windows = new OutWindows();
    for (let id = SHARED_WINDOW + 1; id <= MAX_OUT_WINDOWS; id++) expect(windows.named(id).id).toBe(id);
    expect(windows.named(MAX_OUT_WINDOWS + 1)).toBe(windows.shared);
    windows.closed(SHARED_WINDOW + 1);
    expect(windows.named(MAX_OUT_WINDOWS + 1).id).toBe(MAX_OUT_WINDOWS + 1);
  });

  it('are the same under the same name, and the shared one is never closed', () => {
    const windows = new OutWindows();
    expect(windows.named(7)).toBe(windows.named(7));
    windows.closed(SHARED_WINDOW);
    windows.closed(99);
    expect(windows.named(SHARED_WINDOW)).toBe(windows.shared);
  });
});
