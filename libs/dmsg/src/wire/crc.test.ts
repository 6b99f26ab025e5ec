import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c, crc32cByTables, NATIVE_CRC_BYTES } from './crc.ts';

/** Bit by bit, as CRC-32C is defined. */
function reference(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  }
  return ~c >>> 0;
}

describe('crc32c', () => {
  it('has the check value of protocol.md', () => {
    expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
    expect(crc32c(Buffer.from('xx123456789xx'), 2, 11)).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(0), 0, 0)).toBe(0);
  });

  it('agrees with the definition, whichever implementation the length chooses', () => {
    const lengths = fc.oneof(
      fc.integer({ min: 0, max: 80 }),
      fc.integer({ min: NATIVE_CRC_BYTES - 20, max: NATIVE_CRC_BYTES + 20 }),
    );
    const bytes = lengths.chain((n) => fc.uint8Array({ minLength: n, maxLength: n }));
    fc.assert(
      fc.property(bytes, fc.nat(15), (data, shift) => {
        const buf = Buffer.concat([Buffer.alloc(shift, 0xaa), data, Buffer.alloc(3, 0xaa)]);
        const end = shift + data.length;
        expect(crc32c(buf, shift, end)).toBe(reference(data));
        expect(crc32cByTables(buf, shift, end)).toBe(reference(data));
      }),
    );
  });

  it('continues from the CRC of the bytes before, across implementations', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), fc.nat(1000), (data, at) => {
        const cut = Math.min(at, data.length);
        expect(crc32c(data, cut, data.length, crc32c(data, 0, cut))).toBe(crc32c(data, 0, data.length));
      }),
    );
  });
});
