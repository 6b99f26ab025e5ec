import type { Frame } from './frame.ts';

/** A copy of one message that stays valid after the call that handed the frame out. */
export function keepFrame(frame: Frame): Frame {
  // Not `slice`: of a Buffer, that shares the bytes.
  const buf = Buffer.from(frame.buf.subarray(frame.off, frame.off + frame.headBytes + frame.auxPadded));
  return { ...frame, buf, view: new DataView(buf.buffer, buf.byteOffset, buf.byteLength), off: 0 };
}
