import type { Frame } from './frame.ts';

/** A copy of one message that stays valid: for what cannot be passed on inside the call that hands it out. */
export function keepFrame(frame: Frame): Frame {
  // Not `slice`, which shares the bytes where it is a Buffer's.
  const buf = Buffer.from(frame.buf.subarray(frame.off, frame.off + frame.headBytes + frame.auxPadded));
  return { ...frame, buf, view: new DataView(buf.buffer, buf.byteOffset, buf.byteLength), off: 0 };
}
