import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockStore } from './block-store.ts';

const BLOCK = 8;
const BLOCKS = 12;

const range = fc
  .tuple(fc.nat(BLOCKS), fc.nat(BLOCKS))
  .map(([a, b]) => ({ offset: Math.min(a, b) * BLOCK, bytes: Math.abs(a - b) * BLOCK }));
const step = fc.oneof(
  fc.record({ op: fc.constant('write' as const), range, byte: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ op: fc.constant('free' as const), range }),
  fc.record({ op: fc.constant('read' as const), range }),
);

describe('BlockStore', () => {
  it('reads what was written last, zeros elsewhere, and never holds more blocks than the budget', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(BLOCKS), (steps, limit) => {
        const budget = { blocks: limit };
        const store = new BlockStore({ bytes: BLOCKS * BLOCK, blockBytes: BLOCK }, budget);
        const model = new Uint8Array(BLOCKS * BLOCK);
        const held = new Set<number>();
        for (const next of steps) {
          const { offset, bytes } = next.range;
          expect(store.check(offset, 0, bytes)).toBe(null);
          const blocks = Array.from({ length: bytes / BLOCK }, (_, n) => offset / BLOCK + n);
          if (next.op === 'write') {
            const fits = held.size + blocks.filter((n) => !held.has(n)).length <= limit;
            expect(store.write(offset, 0, new Uint8Array(bytes).fill(next.byte))).toBe(fits ? null : 'full');
            if (!fits) continue;
            model.fill(next.byte, offset, offset + bytes);
            for (const n of blocks) held.add(n);
          } else if (next.op === 'free') {
            store.free(offset, 0, bytes);
            model.fill(0, offset, offset + bytes);
            for (const n of blocks) held.delete(n);
          } else {
            expect(store.read(offset, 0, bytes)).toEqual(model.slice(offset, offset + bytes));
          }
          expect(store.blocksHeld).toBe(held.size);
          expect(budget.blocks).toBe(limit - held.size);
        }
      }),
    );
  });

  it('copies both what it is given and what it returns', () => {
    const store = new BlockStore({ bytes: 64, blockBytes: BLOCK }, { blocks: 8 });
    const data = new Uint8Array(BLOCK).fill(1);
    store.write(0, 0, data);
    data.fill(2);
    store.read(0, 0, BLOCK).fill(3);
    expect(store.read(0, 0, BLOCK)).toEqual(new Uint8Array(BLOCK).fill(1));
  });

  it('says what is wrong with a range, exact in every bit of its offset', () => {
    const store = new BlockStore({ bytes: 2 ** 33, blockBytes: 512 }, { blocks: 8 });
    expect(store.check(0xfffffe00, 1, 512)).toBe(null);
    expect(store.check(0, 2, 0)).toBe(null);
    expect(store.check(0, 2, 512)).toBe('outside');
    expect(store.check(0xfffffe00, 1, 1024)).toBe('outside');
    expect(store.check(0xfffffe00, 0xffffffff, 0xfffffe00)).toBe('outside');
    expect(store.check(1, 0, 512)).toBe('unaligned');
    expect(store.check(0, 0, 100)).toBe('unaligned');
  });

  it('copies what it is given, also a Buffer', () => {
    const store = new BlockStore({ bytes: BLOCK, blockBytes: BLOCK }, { blocks: 1 });
    const data = Buffer.alloc(BLOCK, 1);
    store.write(0, 0, data);
    data.fill(2);
    expect(store.read(0, 0, BLOCK)).toEqual(new Uint8Array(BLOCK).fill(1));
  });
});
