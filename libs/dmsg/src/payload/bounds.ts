import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { CORE_HEADER_BYTES } from '../wire/header.ts';

/**
 * Checks that a message has a payload of at least `bytes`, and returns where it starts. A command word includes the
 * header's size, so the check never fails for a message that was recognised by its whole command word.
 * @throws DmsgError FIELD: the payload is shorter.
 */
export function payloadAt(frame: Frame, bytes: number): number {
  if (frame.headBytes < CORE_HEADER_BYTES + bytes) {
    throw new DmsgError(ErrorCode.FIELD, 'payload too short', {
      payloadBytes: frame.headBytes - CORE_HEADER_BYTES,
      bytes,
    });
  }
  return frame.off + CORE_HEADER_BYTES;
}

/**
 * Checks that `buf[off ..)` has `bytes` bytes.
 * @throws DmsgError FIELD: it has fewer.
 */
export function requireBytes(buf: Uint8Array, off: number, bytes: number): void {
  if (off < 0 || buf.length - off < bytes) {
    throw new DmsgError(ErrorCode.FIELD, 'payload too short', { payloadBytes: buf.length - off, bytes });
  }
}
