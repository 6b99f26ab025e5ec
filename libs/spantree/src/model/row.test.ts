import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DENSE_SLOTS, Row } from './row.ts';

/** The values of a slot's cells that are not empty, sorted. */
function held(row: Row, slot: number): number[] {
  const values: number[] = [];
  const begin = row.begin(slot);
  const end = row.end(slot, begin);
  for (let at = begin; at < end; at++) {
    if (row.at(at) === 0) continue;
    values.push(row.at(at));
    expect(row.slotAt(at)).toBe(slot);
  }
  return values.sort((a, b) => a - b);
}

function inUse(row: Row): number {
  let count = 0;
  for (let at = 0; at < row.length; at++) if (row.at(at) !== 0) count++;
  return count;
}

describe("a node's row", () => {
  it('keeps its values as LNK_CONNs come one by one and slots get wider', () => {
    const row = new Row();
    for (let slot = 0; slot < 100; slot++) {
      row.put(slot, slot + 1, slot + 1);
      if (slot % 10 === 0) row.put(slot, -(slot + 1000), slot + 1);
      if (slot === 50) row.put(slot, 5000, slot + 1);
    }
    for (let slot = 0; slot < 100; slot++) {
      expect(row.find(slot, slot + 1)).toBeGreaterThanOrEqual(0);
      expect(row.find(slot, -(slot + 1000)) >= 0).toBe(slot % 10 === 0);
      expect(row.find(slot, 5000) >= 0).toBe(slot === 50);
    }
    expect(inUse(row)).toBe(100 + 10 + 1);
  });

  it('has no cells for slots that never had a value', () => {
    const row = new Row();
    row.put(0, 1, 1000);
    expect(row.length).toBeLessThan(20);
    expect(row.find(999, 1)).toBe(-1);
    expect(row.find(999, 0)).toBe(-1);
  });

  it('takes four bytes a LNK_CONN where all take the node, even if they come at once', () => {
    const row = new Row();
    for (let slot = 9_999; slot >= 0; slot--) row.put(slot, 1, 10_000);
    expect(row.bytes).toBe(4 * 10_000);
  });

  it('takes memory for its values, not for the LNK_CONNs that exist', () => {
    const row = new Row();
    row.put(39_999, 7, 40_000);
    expect(row.bytes).toBeLessThan(128);
    for (let slot = 0; slot < 40_000; slot += 100) row.put(slot, slot + 1, 40_000);
    expect(row.bytes).toBeLessThan(16 * 401);
    for (let slot = 0; slot < 40_000; slot += 100) expect(held(row, slot)).toEqual([slot + 1]);
    expect(held(row, 39_999)).toEqual([7]);
  });

  it('becomes dense where half of the cells would be in use, with the width of its widest slot', () => {
    const row = new Row();
    row.put(999, 1, 1000);
    expect(row.bytes).toBe(8 * 8);
    const values = [1, -2];
    for (let slot = 0; slot < 300; slot++) for (const value of values) row.put(slot, value, 1000);
    expect(row.bytes).toBeLessThan(16 * 601);
    for (let slot = 300; slot < 999; slot++) for (const value of values) row.put(slot, value, 1000);
    expect(row.bytes).toBe(4 * 2 * 1008);
    for (let slot = 0; slot < 999; slot++) expect(held(row, slot)).toEqual([-2, 1]);
    expect(held(row, 999)).toEqual([1]);
  });

  it('gives memory back when its values are removed', () => {
    const row = new Row();
    for (let slot = 0; slot < 10_000; slot++) row.put(slot, 1, 10_000);
    for (let slot = 0; slot < 9_999; slot++) row.set(row.find(slot, 1), 0);
    row.trim();
    expect(row.bytes).toBeLessThan(128);
    expect(held(row, 9_999)).toEqual([1]);
  });

  it('is not copied for every new LNK_CONN, nor again and again at the limit between its two forms', () => {
    const row = new Row();
    const sizes: number[] = [];
    for (let slot = 0; slot < 256; slot++) {
      row.put(slot, 1, slot + 1);
      sizes.push(row.bytes);
    }
    expect(new Set(sizes).size).toBe(256 / 16);
    // One in eight of 1,024 slots is in use: sparse. Adding and removing one more changes nothing.
    const edge = new Row();
    for (let slot = 0; slot < 1024; slot += 8) edge.put(slot, 1, 1024);
    const { bytes } = edge;
    for (let turn = 0; turn < 10; turn++) {
      edge.put(1, 1, 1024);
      edge.set(edge.find(1, 1), 0);
      edge.trim();
      expect(edge.bytes).toBe(bytes);
    }
  });

  it('becomes sparse when fewer than one cell in eight would be in use, and not before', () => {
    const withSlots = (count: number): Row => {
      const row = new Row();
      for (let slot = 0; slot < count; slot++) row.put(slot, 1, 256);
      row.put(255, 1, 256);
      return row;
    };
    expect(withSlots(32).bytes).toBe(4 * 256);
    // It has room for eight more.
    expect(withSlots(31).bytes).toBe(8 * (31 + 8));
  });

  it('becomes sparse on trim when fewer than one cell in sixteen is in use, unless it is short', () => {
    const left = (slots: number, count: number): number => {
      const row = new Row();
      for (let slot = 0; slot < slots; slot++) row.put(slot, 1, slots);
      for (let slot = count; slot < slots; slot++) row.set(row.find(slot, 1), 0);
      row.trim();
      for (let slot = 0; slot < slots; slot++) expect(held(row, slot)).toEqual(slot < count ? [1] : []);
      return row.bytes;
    };
    expect([left(320, 20), left(320, 19)]).toEqual([4 * 320, 8 * (19 + 8)]);
    expect([left(DENSE_SLOTS, 0), left(DENSE_SLOTS + 16, 0)]).toEqual([4 * DENSE_SLOTS, 8 * 8]);
  });

  it('grows by half while it is sparse, until half of its cells would be in use', () => {
    const sizes = (...values: number[]): number[] => {
      const row = new Row();
      for (let slot = 0; slot < 31; slot++) row.put(slot, 1, 260);
      for (const value of values) row.put(259, value, 260);
      const bytes = new Set([row.bytes]);
      for (let slot = 31; slot < 200; slot++) {
        row.put(slot, 1, 260);
        bytes.add(row.bytes);
      }
      for (let slot = 0; slot < 200; slot++) expect(held(row, slot)).toEqual([1]);
      expect(held(row, 259)).toEqual(values);
      return [...bytes];
    };
    // 130 cells are half of 260, so the row becomes dense.
    expect(sizes(1)).toEqual([...[39, 58, 87, 130].map((cells) => 8 * cells), 4 * 272]);
    // As a dense row all slots would be as wide as the widest one, so it stays sparse.
    expect(sizes(1, 2)).toEqual([39, 58, 87, 130, 195, 292].map((cells) => 8 * cells));
  });

  it('does not show old values of the cells behind its last one', () => {
    const row = new Row();
    const slots = [100, 200, 300, 400, 500, 600, 700, 999];
    for (const slot of [...slots].reverse()) row.put(slot, slot, 1000);
    expect([row.length, row.bytes]).toEqual([8, 8 * 8]);
    for (const slot of [200, 300]) row.set(row.find(slot, slot), 0);
    row.put(50, 50, 1000);
    expect(row.length).toBe(7);
    expect([50, 100, 200, 300, 400, 700, 999].map((slot) => held(row, slot))).toEqual([
      [50],
      [100],
      [],
      [],
      [400],
      [700],
      [999],
    ]);
  });

  it('does not bring such values back when it is trimmed', () => {
    const row = new Row();
    const put = (from: number, to: number) => {
      for (let n = from; n < to; n++) row.put(10 * n, n + 1, 4000);
    };
    const take = (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        row.set(row.find(10 * n, n + 1), 0);
        row.trim();
      }
    };
    put(0, 200);
    take(0, 80);
    put(200, 300);
    take(80, 300);
    expect(inUse(row)).toBe(0);
  });

  it('uses the room of the empty cells that it drops', () => {
    const row = new Row();
    for (let slot = 0; slot < 229; slot++) row.put(slot, 1, 3000);
    for (let slot = 0; slot < 218; slot++) row.set(row.find(slot, 1), 0);
    row.trim();
    for (let slot = 218; slot < 227; slot++) row.set(row.find(slot, 1), 0);
    for (let slot = 0; slot < 9; slot++) row.put(slot, 1, 3000);
    for (let slot = 0; slot < 229; slot++) expect(held(row, slot)).toEqual(slot < 9 || slot >= 227 ? [1] : []);
  });

  it('holds the values that were put and not removed, in any order, in no more memory than that needs', () => {
    const slots = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3000 }));
    const step = fc.record({
      slot: slots,
      value: fc.integer({ min: 1, max: 3 }),
      put: fc.boolean(),
      many: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const row = new Row();
        const model = new Map<number, number[]>();
        let most = 0;
        for (const { slot: first, value, put, many } of steps) {
          for (let slot = first; slot <= Math.min(first + many, 3000); slot++) {
            const of = model.get(slot) ?? [];
            if (put) {
              if (of.includes(value)) continue;
              row.put(slot, value, 3001);
              model.set(slot, [...of, value]);
            } else if (of.includes(value)) {
              row.set(row.find(slot, value), 0);
              model.set(
                slot,
                of.filter((one) => one !== value),
              );
            } else expect(row.find(slot, value)).toBe(-1);
          }
          row.trim();
          const count = [...model.values()].reduce((sum, { length }) => sum + length, 0);
          most = Math.max(most, count);
          expect(inUse(row)).toBe(count);
          // While it is dense, each of up to three links of one slot makes all slots wider.
          expect(row.bytes).toBeLessThanOrEqual(4 * (3 * DENSE_SLOTS + 64) + 4 * 16 * 3 * most);
        }
        for (const [slot, of] of model) expect(held(row, slot)).toEqual(of.sort((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });

  it('holds what few of very many LNK_CONNs take, however often they come and go', () => {
    const step = fc.record({ from: fc.nat(300), many: fc.nat(200), put: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
        const row = new Row();
        const taken = new Set<number>();
        for (const { from, many, put } of steps) {
          for (let slot = 10 * from; slot < 10 * (from + many); slot += 10) {
            if (put === taken.has(slot)) continue;
            if (put) row.put(slot, 1, 5000);
            else row.set(row.find(slot, 1), 0);
            if (put) taken.add(slot);
            else taken.delete(slot);
            row.trim();
          }
          expect(inUse(row)).toBe(taken.size);
        }
        for (let slot = 0; slot < 5000; slot++) expect(held(row, slot)).toEqual(taken.has(slot) ? [1] : []);
      }),
      { numRuns: 100 },
    );
  });
});
