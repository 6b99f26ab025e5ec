import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableJson } from './printable.ts';

describe('printable', () => {
  it('leaves text alone, in any alphabet', () => {
    expect(printable('box 1 (Größe) Ω 東京 🐟')).toBe('box 1 (Größe) Ω 東京 🐟');
  });

  it.each([
    ['\x1b[2J', '\\x1b[2J'],
    ['a\nb\r\t\0', 'a\\x0ab\\x0d\\x09\\x00'],
    ['\x7f', '\\x7f'],
    // A control sequence introducer of one character, which terminals obey too.
    ['\u009b31m', '\\x9b31m'],
    ['\u00ad', '\\xad'],
    ['\u202eevil', '\\u{202e}evil'],
    ['\u2028', '\\u{2028}'],
    ['\ud800', '\\u{d800}'],
    ['a\\x1b', 'a\\\\x1b'],
  ])('escapes %j', (text, escaped) => {
    expect(printable(text)).toBe(escaped);
  });

  it('never lets a control character through, and escapes different texts differently', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(printable(a)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(printable(a) === printable(b)).toBe(a === b);
      }),
    );
  });
});

describe('printableJson', () => {
  it('escapes what JSON.stringify lets through, and means the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson(JSON.stringify({ text }));
        expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });

  it('escapes characters beyond 16 bits as two', () => {
    expect(printableJson('"\u{e0001}"')).toBe('"\\udb40\\udc01"');
  });
});
