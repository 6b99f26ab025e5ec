import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc.ts';
import { auxField, HDR_CRC_AT, padded, SALT_AT, sealHeader, swapCoreHeader, writeCoreHeader } from './header.ts';
import { headerCrcIn } from './header-crc.ts';
import { readU16, readU32, readU32BE, viewOf, writeU16, writeU32 } from './words.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });

describe('words in place', () => {
  it('are read and written as Buffer does', () => {
    fc.assert(
      fc.property(u32, fc.nat(9), (value, at) => {
        const buf = Buffer.alloc(16);
        writeU32(buf, at, value);
        expect(buf.readUInt32LE(at)).toBe(value);
        expect(readU32(buf, at)).toBe(value);
        expect(readU32BE(buf, at)).toBe(buf.readUInt32BE(at));
        writeU16(buf, at, value);
        expect(readU16(buf, at)).toBe(value & 0xffff);
        expect(buf.readUInt16LE(at)).toBe(value & 0xffff);
      }),
    );
  });

  it('take negative numbers as their two complement', () => {
    const buf = Buffer.alloc(4);
    writeU32(buf, 0, -2);
    expect(readU32(buf, 0)).toBe(0xfffffffe);
    expect(readU32(buf, 0) | 0).toBe(-2);
  });
});

describe('padding', () => {
  it('rounds up to 64, also beyond 32 bits', () => {
    expect([0, 1, 63, 64, 65].map(padded)).toEqual([0, 64, 64, 64, 128]);
    expect(padded(0xffffffff * 64)).toBe(0xffffffff * 64);
    expect(padded(0xffffffff)).toBe(0x100000000);
  });

  it('is counted in units by linkid and not at all by circuit', () => {
    expect(auxField(64, 65)).toBe(2);
    expect(auxField(1, 65)).toBe(65);
  });
});

describe('writeCoreHeader and sealHeader', () => {
  const fields = fc.tuple(u32, u32, u32, u32, u32, u32, u32, u32, u32, u32);

  it('write all 64 bytes, over whatever was there', () => {
    fc.assert(
      fc.property(fields, u32, ([cmd, mLo, mHi, cLo, cHi, tLo, tHi, error, aux, auxCrc], salt) => {
        const buf = Buffer.alloc(70, 0xee);
        writeCoreHeader(viewOf(buf), 3, cmd, mLo, mHi, cLo, cHi, tLo, tHi, error, aux, auxCrc);
        sealHeader(buf, 3, 64, salt);
        const expected = Buffer.alloc(64);
        expected.writeUInt16LE(0x4832, 0);
        for (const [at, value] of [
          [4, salt],
          [8, mLo],
          [12, mHi],
          [16, cLo],
          [20, cHi],
          [24, tLo],
          [28, tHi],
          [32, cmd],
          [36, auxCrc],
          [40, aux],
          [44, error],
        ] as const) {
          expected.writeUInt32LE(value, at);
        }
        expected.writeUInt32LE(crc32c(expected, 0, 64), 60);
        expect(buf.subarray(3, 67)).toEqual(expected);
        expect([buf[2], buf[67]]).toEqual([0xee, 0xee]);
      }),
    );
  });

  it('cover the extended header and ignore the old hdr_crc', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), fc.nat(255), (units, fill) => {
        const bytes = units * 64;
        const buf = Buffer.alloc(bytes, fill);
        sealHeader(buf, 0, bytes, 0x01020304);
        const stored = readU32(buf, HDR_CRC_AT);
        expect(readU32(buf, SALT_AT)).toBe(0x01020304);
        expect(headerCrcIn(viewOf(buf), buf, 0, bytes)).toBe(stored);
        writeU32(buf, HDR_CRC_AT, 0);
        expect(crc32c(buf, 0, bytes)).toBe(stored);
      }),
    );
  });
});

describe('swapCoreHeader', () => {
  it('reverses each field by its size, and is its own inverse', () => {
    const buf = Buffer.from(Array.from({ length: 64 }, (_, i) => i));
    const once = Buffer.from(buf);
    swapCoreHeader(once, 0);
    const expected: number[] = [];
    let at = 0;
    for (const size of [2, 2, 4, 8, 8, 8, 4, 4, 4, 4, 8, 4, 4]) {
      for (let i = size - 1; i >= 0; i--) expected.push(at + i);
      at += size;
    }
    expect([...once]).toEqual(expected);
    swapCoreHeader(once, 0);
    expect(once).toEqual(buf);
  });
});
