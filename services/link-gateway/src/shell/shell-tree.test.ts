import { describe, expect, it } from 'vitest';
import { printable } from './shell-tree.ts';

describe('text of peers on the way to terminals of others', () => {
  it('has no control characters, of seven bits or of eight', () => {
    expect(printable('ok\x1b[31m\x9b2J\x7f')).toBe('ok?[31m?2J?');
    // The same controls in UTF-8: an 8-bit terminal obeys the second byte alone.
    expect(printable('\xc2\x9b31mRED \xc2\x9d52;c;ZXZpbA==\xc2\x9c')).toBe('\xc2?31mRED \xc2?52;c;ZXZpbA==\xc2?');
    for (let code = 0; code < 0x100; code++) {
      const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
      const char = String.fromCharCode(code);
      expect(printable(char)).toBe(isControl ? '?' : char);
    }
  });

  it('keeps printable characters, one byte each', () => {
    expect(printable('box 1 (Gr\xc3\xb6\xdfe)')).toBe('box 1 (Gr\xc3\xb6\xdfe)');
    expect(printable('東')).toBe('?');
  });
});
