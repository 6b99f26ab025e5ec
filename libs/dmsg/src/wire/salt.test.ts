import { describe, expect, it } from 'vitest';
import { RandomPool, SaltSequence } from './salt.ts';

describe('SaltSequence', () => {
  it('counts messages mod 256 under 24 random bits', () => {
    let calls = 0;
    const salt = new SaltSequence({ next: () => 0xabcdef00 + (calls++ % 256) });
    const salts = Array.from({ length: 520 }, () => salt.next());
    expect(salts.every((value, i) => value === 0xabcdef00 + (i % 256))).toBe(true);
    expect(calls).toBe(520);
  });

  it('has a counter of its own per direction', () => {
    const random = { next: () => 0xffffffff };
    const one = new SaltSequence(random);
    const other = new SaltSequence(random);
    one.next();
    expect([one.next(), other.next()]).toEqual([0xffffff01, 0xffffff00]);
  });
});

describe('RandomPool', () => {
  it('gives unsigned words that do not repeat when the pool is refilled', () => {
    const pool = new RandomPool();
    const words = new Set(Array.from({ length: 5000 }, () => pool.next()));
    // Of 5000 words among 2^32, only a handful collide unless the same batch came twice.
    expect(words.size).toBeGreaterThan(4990);
    expect([...words].every((word) => word >= 0 && word <= 0xffffffff)).toBe(true);
  });
});
