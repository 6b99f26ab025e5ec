import type { Frame } from './frame.ts';
import { AUX_CRC_AT, CIRCUIT_AT, CMD_AT, ERROR_AT, MSGID_AT, TARGET_AT } from './header.ts';

const NOTHING: Uint8Array = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

/** The one Frame of a FrameReader, moved from message to message. */
export class FrameCursor implements Frame {
  buf: Uint8Array = NOTHING;
  view: DataView = NO_VIEW;
  sealed = false;
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

  /** Moves to the message at `off`, whose core header is in little-endian. Parameters as the fields of Frame. */
  set(
    buf: Uint8Array,
    view: DataView,
    sealed: boolean,
    off: number,
    headBytes: number,
    auxBytes: number,
    auxPadded: number,
  ): void {
    // Storing an object costs a write barrier, and usually the buffer is the same as that of the message before.
    if (this.buf !== buf) {
      this.buf = buf;
      this.view = view;
    }
    this.sealed = sealed;
    this.off = off;
    this.headBytes = headBytes;
    this.auxBytes = auxBytes;
    this.auxPadded = auxPadded;
    this.msgidLo = view.getUint32(off + MSGID_AT, true);
    this.msgidHi = view.getUint32(off + MSGID_AT + 4, true);
    this.circuitLo = view.getUint32(off + CIRCUIT_AT, true);
    this.circuitHi = view.getUint32(off + CIRCUIT_AT + 4, true);
    this.targetLo = view.getUint32(off + TARGET_AT, true);
    this.targetHi = view.getUint32(off + TARGET_AT + 4, true);
    this.cmd = view.getUint32(off + CMD_AT, true);
    this.error = view.getUint32(off + ERROR_AT, true);
    this.auxCrc = view.getUint32(off + AUX_CRC_AT, true);
  }

  /** Drops the buffer, so that an idle connection keeps none alive. */
  clear(): void {
    this.buf = NOTHING;
    this.view = NO_VIEW;
    this.off = 0;
  }
}
