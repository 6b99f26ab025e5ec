import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, type Gf128, gf128FromBytes, gf128ToBytes, multiply, timesX } from './gf128.ts';

const element = (hex: string): Gf128 => gf128FromBytes(Buffer.from(hex, 'hex'));
const hex = (value: Gf128): string => Buffer.from(gf128ToBytes(value)).toString('hex');
const ONE: Gf128 = [0x80000000, 0, 0, 0];
const X: Gf128 = [0x40000000, 0, 0, 0];
const elements = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(gf128FromBytes);

describe('GF(2^128)', () => {
  it('hashes as test case 2 of the GCM specification (McGrew and Viega, appendix B)', () => {
    const h = element('66e94bd4ef8a2c3b884cfa59ca342b2e');
    const first = multiply(element('0388dace60b6a392f328c2b971b2fe78'), h);
    expect(hex(first)).toBe('5e2ec746917062882c85b0685353deb7');
    expect(hex(multiply(add(first, [0, 0, 0, 128]), h))).toBe('f38cbb1ad69223dcc3457ae5b6b0f885');
  });

  it('is a commutative ring with one', () => {
    fc.assert(
      fc.property(elements, elements, elements, (a, b, c) => {
        expect(multiply(a, ONE)).toEqual(a);
        expect(multiply(a, b)).toEqual(multiply(b, a));
        expect(multiply(multiply(a, b), c)).toEqual(multiply(a, multiply(b, c)));
        expect(multiply(a, add(b, c))).toEqual(add(multiply(a, b), multiply(a, c)));
      }),
    );
  });

  it('multiplies by x', () => {
    fc.assert(
      fc.property(elements, (a) => {
        expect(timesX(a)).toEqual(multiply(a, X));
      }),
    );
  });

  it('keeps bytes', () => {
    fc.assert(
      fc.property(elements, (a) => {
        expect(gf128FromBytes(gf128ToBytes(a))).toEqual(a);
      }),
    );
  });
});
