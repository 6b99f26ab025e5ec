import fc from 'fast-check';
import { expect, it } from 'vitest';
import { labelArgument, printableLabel, printableSentence } from './label.ts';

/** A label as the API has it: one character for each byte that the peer sent. */
const onTheWire = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('latin1');

it.each([
  ['Größe 東京 🐟', 'Größe 東京 🐟'],
  ['a\\b', 'a\\\\b'],
  ['\x1b[2J', '\\x1b[2J'],
  ['\u009b31m', '\\u{9b}31m'],
  ['\u202eevil', '\\u{202e}evil'],
  ['\ufeffx', '\\u{feff}x'],
])('UTF-8 %j is shown as %j', (text, shown) => {
  expect(printableLabel(onTheWire(text))).toBe(shown);
});

it.each([
  [[0xff, 0x41], '\\xffA'],
  [[0x9b, 0x33], '\\x9b3'],
  // An overlong form, a surrogate, a sequence cut short, a character above U+10FFFF.
  [[0xc0, 0x80], '\\xc0\\x80'],
  [[0xed, 0xa0, 0x80], '\\xed\\xa0\\x80'],
  [[0xe2, 0x82], '\\xe2\\x82'],
  [[0xf4, 0x90, 0x80, 0x80], '\\xf4\\x90\\x80\\x80'],
])('bytes %j are shown as %j', (bytes, shown) => {
  expect(printableLabel(onTheWire(Uint8Array.from(bytes)))).toBe(shown);
});

it('reads back as it is printed, whatever the label', () => {
  const labels = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map(onTheWire),
    fc.string({ unit: 'binary' }).map((text) => onTheWire(text)),
  );
  fc.assert(
    fc.property(labels, (label) => {
      const shown = printableLabel(label);
      expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(labelArgument(shown)).toBe(label);
    }),
  );
});

it.each([
  [`There is no node ${onTheWire('größe\x1b[2J')}.`, 'There is no node größe\\x1b[2J.'],
  ['lost 3×, by Jürgen, 東京 \u202e', 'lost 3×, by Jürgen, 東京 \\u{202e}'],
  ['\x9b31m \\', '\\x9b31m \\\\'],
])('prints the sentence %j as %j', (text, shown) => {
  expect(printableSentence(text)).toBe(shown);
});

it.each(['gateway.b7f2a3e2:41', '0855c859-eb09-4ec0-8573-63f91c0e8d32', 'peer01', 'C:\\dir', '\\u{110000}'])(
  'leaves %s as it is typed',
  (typed) => {
    expect(labelArgument(typed)).toBe(typed);
  },
);
