import { DBG_SHELL, LNK_PAD } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import type { Frame } from './frame.ts';
import type { FrameSink } from './framing.ts';
import { FrameReader } from './framing.ts';
import { HDR_CRC_AT, sealHeader, swapCoreHeader } from './header.ts';
import { encodeMessage } from './message.ts';
import { readU32 } from './words.ts';

// For tests of the framing.

/** A sink that copies the fields and bytes of every frame. */
export class Recorder implements FrameSink {
  readonly frames: { fields: Omit<Frame, 'buf' | 'view' | 'sealed' | 'off'>; bytes: Buffer }[] = [];

  onFrame(frame: Frame): void {
    const { buf, view, sealed, off, ...fields } = frame;
    const end = off + frame.headBytes + frame.auxPadded;
    this.frames.push({ fields, bytes: Buffer.from(buf.subarray(off, end)) });
  }
}

/** Cuts bytes into chunks of these sizes, repeating the list; each chunk in memory of its own. */
export function chunks(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const result: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[i % sizes.length]!);
    result.push(Uint8Array.prototype.slice.call(bytes, at, at + size));
    at += size;
  }
  return result;
}

/** A reader that has read `sequence` messages, so that it expects that message counter next. */
export function readerAt(rules: DialectRules, sequence: number): FrameReader {
  const reader = new FrameReader({ rules });
  const nothing: FrameSink = { onFrame() {} };
  for (let salt = 0; salt < sequence; salt++) reader.push(encodeMessage({ rules, cmd: LNK_PAD, salt }), nothing);
  return reader;
}

/** Runs `fn` and returns the DmsgError that it throws, or null. Other errors are passed on. */
export function errorOf(fn: () => void): DmsgError | null {
  try {
    fn();
    return null;
  } catch (error) {
    if (error instanceof DmsgError) return error;
    throw error;
  }
}

/** A shell message with this text. */
export function shell(rules: DialectRules, text: string, salt: number): Uint8Array {
  return encodeMessage({ rules, cmd: DBG_SHELL, aux: Buffer.from(`${text}\0`), salt });
}

/** The message as a sender of the other byte order sends it, with hdr_crc over those bytes. */
export function inOtherOrder(message: Uint8Array): Uint8Array {
  const swapped = Uint8Array.from(message);
  const headBytes = message[32]! * 64;
  swapCoreHeader(swapped, 0);
  sealHeader(swapped, 0, headBytes, readU32(swapped, 4));
  swapped.subarray(HDR_CRC_AT, HDR_CRC_AT + 4).reverse();
  return swapped;
}
