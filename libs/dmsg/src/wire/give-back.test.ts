import { describe, expect, it } from 'vitest';
import { giveBack, giveBackAny } from './give-back.ts';

const LEAST_BYTES = 16 * 1024;

describe('memory that nobody uses any more', () => {
  it('is freed at once if it has at least 16 KiB', () => {
    const memory = new Uint8Array(LEAST_BYTES);
    giveBack(memory);
    expect(memory.length).toBe(0);
  });

  it('is freed whatever its size by giveBackAny', () => {
    const memory = new Uint8Array(1);
    giveBackAny(memory);
    expect(memory.length).toBe(0);
    const part = new Uint8Array(2).subarray(1);
    giveBackAny(part);
    expect(part.length).toBe(1);
  });

  it.each([
    ['less than that', new Uint8Array(LEAST_BYTES - 1)],
    ['the beginning of more', new Uint8Array(2 * LEAST_BYTES).subarray(0, LEAST_BYTES)],
    ['the end of more', new Uint8Array(2 * LEAST_BYTES).subarray(LEAST_BYTES)],
    ['shared with threads', new Uint8Array(new SharedArrayBuffer(LEAST_BYTES))],
  ])('is left alone when it is %s', (_, memory) => {
    const { length } = memory;
    giveBack(memory);
    expect(memory.length).toBe(length);
  });
});
