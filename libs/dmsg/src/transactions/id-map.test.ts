import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeHashTables } from './id-hash.ts';
import { IdMap } from './id-map.ts';

const half = fc.oneof(fc.nat(3), fc.nat(0xffff_ffff), fc.constantFrom(0, 0x8000_0000, 0xffff_ffff));

describe('IdMap', () => {
  it('behaves like a Map, whatever the order of insertions and deletions', () => {
    const command = fc.record({ insert: fc.boolean(), lo: half, hi: half });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 400 }), fc.boolean(), (commands, collide) => {
        const map = new IdMap<{ n: number }>(collide ? makeHashTables(() => {}) : undefined);
        const model = new Map<string, { n: number }>();
        commands.forEach(({ insert, lo, hi }, n) => {
          const key = `${lo},${hi}`;
          if (insert) {
            const fresh = !model.has(key);
            const value = { n };
            expect(map.insert(lo, hi, value)).toBe(fresh);
            if (fresh) model.set(key, value);
          } else {
            expect(map.delete(lo, hi)).toBe(model.delete(key));
          }
          expect(map.size).toBe(model.size);
        });
        for (const { lo, hi } of commands) expect(map.find(lo, hi)).toBe(model.get(`${lo},${hi}`));
      }),
    );
  });

  it('takes an id that it has not a second time, and keeps what it had', () => {
    const map = new IdMap<{ n: number }>();
    const first = { n: 1 };
    expect([map.insert(7, 8, first), map.insert(7, 8, { n: 2 }), map.size]).toEqual([true, false, 1]);
    expect(map.find(7, 8)).toBe(first);
  });

  it('takes signed and unsigned halves as the same bits', () => {
    const map = new IdMap<{ n: number }>();
    const value = { n: 1 };
    map.insert(0xffff_ffff, 0x8000_0000, value);
    expect(map.find(-1, -0x8000_0000)).toBe(value);
  });

  it('grows to hold 100,000 ids that look like kernel pointers, and gives the memory back', () => {
    const map = new IdMap<{ n: number }>();
    for (let n = 0; n < 100_000; n++) map.insert(n * 0x40, 0xffff_f800, { n });
    expect(map.capacity).toBeLessThanOrEqual(4 * 100_000);
    for (let n = 0; n < 100_000; n++) expect(map.find(n * 0x40, 0xffff_f800)?.n).toBe(n);
    for (let n = 0; n < 100_000; n++) expect(map.delete(n * 0x40, 0xffff_f800)).toBe(true);
    expect(map.size).toBe(0);
    // The last 16 KiB are given back only after many deletions.
    expect(map.capacity).toBe(1024);
    for (let n = 0; n < 8 * 1024; n++) {
      map.insert(n, 0, { n });
      map.delete(n, 0);
    }
    expect(map.capacity).toBe(16);
  });

  it('is at most half full, and gives memory back when it is less than an eighth full', () => {
    const map = new IdMap<{ n: number }>();
    const fill = (size: number) => {
      while (map.size < size) map.insert(map.size, 1, { n: 1 });
    };
    const empty = (size: number) => {
      while (map.size > size) map.delete(map.size - 1, 1);
    };
    fill(2048);
    expect(map.capacity).toBe(4096);
    fill(2049);
    expect(map.capacity).toBe(8192);
    empty(1024);
    expect(map.capacity).toBe(8192);
    empty(1023);
    expect(map.capacity).toBe(4096);
    for (let n = 0; n < 1023; n++) expect(map.find(n, 1)).toBeDefined();
  });

  it('keeps its capacity while bursts come and go', () => {
    const map = new IdMap<{ n: number }>();
    for (let burst = 0; burst < 100; burst++) {
      for (let n = 0; n < 256; n++) map.insert(n, burst, { n });
      expect(map.capacity).toBe(512);
      for (let n = 0; n < 256; n++) map.delete(n, burst);
      expect(map.capacity).toBe(512);
    }
  });

  it('forgets everything with clear', () => {
    const map = new IdMap<{ n: number }>();
    for (let n = 0; n < 100; n++) map.insert(n, 0, { n });
    map.clear();
    expect(map.find(5, 0)).toBeUndefined();
    expect([map.size, map.capacity]).toEqual([0, 16]);
    map.insert(5, 0, { n: 5 });
    expect([map.size, map.find(5, 0), map.find(6, 0)]).toEqual([1, { n: 5 }, undefined]);
  });
});
