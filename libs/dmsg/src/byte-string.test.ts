import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteStringOf, displayText, readByteString, writeByteString } from './byte-string.ts';
import { DmsgError } from './dmsg-error.ts';

describe('byte strings', () => {
  it('keep every byte, whether it is UTF-8 or not', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 15 }), (bytes) => {
        const field = Buffer.alloc(16);
        field.set(bytes);
        const text = readByteString(field, 0, 16);
        expect(text).toHaveLength(bytes.length);
        const out = Buffer.alloc(20, 0xee);
        writeByteString(out, 2, 16, text);
        expect(out.subarray(2, 18)).toEqual(field);
        expect([out[1], out[18]]).toEqual([0xee, 0xee]);
      }),
    );
  });

  it('end at their NUL, and before the last byte of an unterminated field', () => {
    expect(readByteString(Buffer.from('ab\0cd'), 0, 5)).toBe('ab');
    expect(readByteString(Buffer.from('abcde'), 0, 5)).toBe('abcd');
    expect(readByteString(Buffer.from('\0abcd'), 0, 5)).toBe('');
  });

  it('are cut to the size of the field and at a NUL when written', () => {
    const out = Buffer.alloc(5, 0xee);
    writeByteString(out, 0, 5, 'abcdefgh');
    expect(out.toString('latin1')).toBe('abcd\0');
    writeByteString(out, 0, 5, 'a\0bc');
    expect(out.toString('latin1')).toBe('a\0\0\0\0');
    expect(() => writeByteString(out, 0, 5, '\u0100')).toThrow(DmsgError);
  });

  it('are shown as text in UTF-8', () => {
    expect(displayText(byteStringOf('Zürich ✓'))).toBe('Zürich ✓');
    expect(displayText('\xff')).toBe('\ufffd');
  });
});
