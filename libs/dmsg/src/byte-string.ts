import { DmsgError } from './dmsg-error.ts';
import { ErrorCode } from './error-code.ts';

// Strings of payloads and shell texts are bytes that end at a NUL; they need not be UTF-8. A byte string, as this
// library keeps them, has one character (0..255, latin1) for each byte: equal bytes are equal strings, and encoding a
// string gives the bytes that it was decoded from. `displayText` makes a text for people.

/**
 * The byte string in a field of `size` bytes at `at`: it ends at the first NUL, and at the latest before the last byte,
 * which is taken as a NUL (protocol.md, "Payloads").
 */
export function readByteString(buf: Uint8Array, at: number, size: number): string {
  const last = at + size - 1;
  let end = at;
  while (end < last && buf[end] !== 0) end++;
  return latin1(buf, at, end);
}

/** The bytes `buf[start .. end)` as a string with one character for each byte. */
export function latin1(buf: Uint8Array, start: number, end: number): string {
  return start === end ? '' : Buffer.from(buf.buffer, buf.byteOffset + start, end - start).toString('latin1');
}

/**
 * Fills a field of `size` bytes: the string up to its first NUL, at most size - 1 bytes of it, then zeros.
 * @throws DmsgError PARAM: a character over 255.
 */
export function writeByteString(buf: Uint8Array, at: number, size: number, text: string): void {
  const room = Math.min(text.length, size - 1);
  let n = 0;
  for (; n < room; n++) {
    const char = text.charCodeAt(n);
    if (char === 0) break;
    buf[at + n] = byteOf(char);
  }
  buf.fill(0, at + n, at + size);
}

/** The byte that a character of a byte string stands for. */
export function byteOf(char: number): number {
  if (char > 0xff) throw new DmsgError(ErrorCode.PARAM, 'text is not a byte string', { char });
  return char;
}

/**
 * A byte string as text for people and APIs: read as UTF-8, with U+FFFD for bytes that are not. Different byte strings
 * may give the same text, so never use it as a key.
 */
export function displayText(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}

/** The byte string of a text from people or APIs: its UTF-8 bytes. */
export function byteStringOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
