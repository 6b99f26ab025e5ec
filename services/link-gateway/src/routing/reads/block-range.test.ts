import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type BlockRange, EVERYTHING, overlap } from './block-range.ts';

const u32 = fc.oneof(fc.nat(3), fc.constantFrom(0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff));
const range = fc.record({ offsetLo: u32, offsetHi: u32, bytes: u32 });
const start = ({ offsetLo, offsetHi }: BlockRange) => (BigInt(offsetHi) << 32n) | BigInt(offsetLo);

it('overlap gives the same as 64-bit arithmetic, in either order', () => {
  fc.assert(
    fc.property(range, range, (a, b) => {
      const common = start(a) < start(b) + BigInt(b.bytes) && start(b) < start(a) + BigInt(a.bytes);
      expect([overlap(a, b), overlap(b, a)]).toEqual([common, common]);
      expect(overlap(a, EVERYTHING)).toBe(a.bytes > 0 || start(a) > 0n);
    }),
  );
});
