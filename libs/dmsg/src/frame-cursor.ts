import type { Frame } from './frame.ts';
import { AUX_CRC_AT, CIRCUIT_AT, CMD_AT, ERROR_AT, MSGID_AT, readU32, TARGET_AT } from './header.ts';

const NOTHING: Uint8Array = Buffer.alloc(0);

/** The one Frame of a FrameReader, moved from message to message. */
export class FrameCursor implements Frame {
  buf: Uint8Array = NOTHING;
  off = 0;
  headBytes = 0;
  auxPadded = 0;
  auxBytes = 0;
  msgidLo = 0;
  msgidHi = 0;
  circuitLo = 0;
  circuitHi = 0;
  targetLo = 0;
  targetHi = 0;
  cmd = 0;
  error = 0;
  auxCrc = 0;

  /** Moves to the message at `off`, whose core header is in little-endian; sizes in bytes, as in Frame. */
  set(buf: Uint8Array, off: number, headBytes: number, auxBytes: number, auxPadded: number): void {
    this.buf = buf;
    this.off = off;
    this.headBytes = headBytes;
    this.auxBytes = auxBytes;
    this.auxPadded = auxPadded;
    this.msgidLo = readU32(buf, off + MSGID_AT);
    this.msgidHi = readU32(buf, off + MSGID_AT + 4);
    this.circuitLo = readU32(buf, off + CIRCUIT_AT);
    this.circuitHi = readU32(buf, off + CIRCUIT_AT + 4);
    this.targetLo = readU32(buf, off + TARGET_AT);
    this.targetHi = readU32(buf, off + TARGET_AT + 4);
    this.cmd = readU32(buf, off + CMD_AT);
    this.error = readU32(buf, off + ERROR_AT);
    this.auxCrc = readU32(buf, off + AUX_CRC_AT);
  }

  /** Lets go of the buffer, so that an idle connection keeps none alive. */
  clear(): void {
    this.buf = NOTHING;
    this.off = 0;
  }
}
