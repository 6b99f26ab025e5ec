import { byteOf, latin1 } from '../byte-string.ts';
import type { Frame } from '../wire/frame.ts';

/**
 * The text of a DBG_SHELL: its aux data up to the first NUL or the end (protocol.md, "Payloads"), as a byte string.
 * Without aux data: empty.
 */
export function decodeShellText(frame: Frame): string {
  const { buf } = frame;
  const start = frame.off + frame.headBytes;
  const limit = start + frame.auxBytes;
  let end = start;
  while (end < limit && buf[end] !== 0) end++;
  return latin1(buf, start, end);
}

/** Size of the aux data of a shell text in bytes, unpadded: its NUL counts (protocol.md, "Payloads"). */
export function shellAuxBytes(text: string): number {
  return text.length + 1;
}

/**
 * Writes the aux data of a shell text at `off`: the text, then zeros up to `auxPadded` bytes (at least
 * `shellAuxBytes(text)`), because the CRC covers the padding.
 * @throws DmsgError PARAM: not a byte string.
 */
export function encodeShellText(text: string, buf: Uint8Array, off: number, auxPadded: number): void {
  for (let i = 0; i < text.length; i++) buf[off + i] = byteOf(text.charCodeAt(i));
  buf.fill(0, off + text.length, off + auxPadded);
}

/**
 * The unpadded aux data of a shell text, NUL included, in memory of its own.
 * @throws DmsgError PARAM: not a byte string.
 */
export function shellAux(text: string): Uint8Array {
  const aux = new Uint8Array(shellAuxBytes(text));
  encodeShellText(text, aux, 0, aux.length);
  return aux;
}
