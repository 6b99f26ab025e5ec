import { printable } from './printable.ts';

// The API has labels as peers send them: a character (0 to 255) for each byte. Most are UTF-8, but no rule demands it.

/** Well-formed UTF-8 of more than one byte, as Unicode's table 3-7 has it. */
const CHARACTERS = [
  '[\xc2-\xdf][\x80-\xbf]',
  '\xe0[\xa0-\xbf][\x80-\xbf]',
  '[\xe1-\xec\xee\xef][\x80-\xbf]{2}',
  '\xed[\x80-\x9f][\x80-\xbf]',
  '\xf0[\x90-\xbf][\x80-\xbf]{2}',
  '[\xf1-\xf3][\x80-\xbf]{3}',
  '\xf4[\x80-\x8f][\x80-\xbf]{2}',
].join('|');
/** UTF-8 characters, other single bytes over 0x7f, and the ASCII characters that are escaped. */
const SEQUENCES = new RegExp(`${CHARACTERS}|[\x80-\xff]|[\\x00-\\x1f\\x7f\\\\]`, 'g');
const PARTS = new RegExp(`(${CHARACTERS})`);
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/**
 * A label that is safe to print. UTF-8 is printed as its characters, other bytes as `\xff`, characters that would be
 * invisible as `\x1b` and `\u{202e}`, a backslash as two. Different labels are printed differently.
 */
export function printableLabel(label: string): string {
  // Characters above 0xff: this label is a text of our own, not bytes of a peer.
  if (/[\u0100-\uffff]/.test(label)) return printable(label);
  return label.replace(SEQUENCES, (sequence) => {
    const code = sequence.charCodeAt(0);
    if (sequence.length === 1) return code < 0x80 ? printable(sequence) : `\\x${code.toString(16)}`;
    const char = decoder.decode(Uint8Array.from(sequence, (byte) => byte.charCodeAt(0)));
    // TextDecoder drops a byte order mark at the beginning.
    if (char === '') return '\\u{feff}';
    return UNPRINTABLE.test(char) ? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}` : char;
  });
}

/**
 * A sentence of the API, safe to print. Labels quoted in it are printed as `printableLabel` prints them, except bytes
 * that are not UTF-8.
 */
export function printableSentence(text: string): string {
  const parts = text.split(PARTS);
  // Every other part is a match of the pattern.
  return parts.map((part, i) => (i % 2 === 0 ? printable(part) : printableLabel(part))).join('');
}

/** A label as the API has it, from an argument typed as labels are printed. Ids are the same in both forms. */
export function labelArgument(typed: string): string {
  return typed.replace(
    /\\(?:\\|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\})|[\u{80}-\u{10ffff}]/gu,
    (whole, byte: string | undefined, code: string | undefined) => {
      if (whole === '\\\\') return '\\';
      if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16));
      if (code === undefined) return bytesOf(whole);
      const point = Number.parseInt(code, 16);
      return point > 0x10ffff ? whole : bytesOf(String.fromCodePoint(point));
    },
  );
}

function bytesOf(text: string): string {
  return String.fromCharCode(...encoder.encode(text));
}
