import { expect, it } from 'vitest';
import { BLK_READ } from '../command.ts';
import { CIRCUIT } from '../dialect.ts';
import type { Frame } from './frame.ts';
import { FrameReader } from './framing.ts';
import { keepFrame } from './kept-frame.ts';
import { encodeMessage } from './message.ts';

it('a kept frame stays as it was when the bytes that it came in change', () => {
  const bytes = Buffer.from(encodeMessage({ rules: CIRCUIT, cmd: BLK_READ, aux: Buffer.from('aux'), salt: 0 }));
  const before = Buffer.from(bytes);
  const kept: Frame[] = [];
  new FrameReader({ rules: CIRCUIT }).push(bytes, {
    onFrame: (frame) => {
      kept.push(keepFrame(frame));
      Buffer.from(frame.buf.buffer, frame.buf.byteOffset, frame.buf.byteLength).fill(0);
    },
  });
  const [{ buf, off, view, cmd, auxBytes }] = kept as [Frame];
  expect(Buffer.from(buf.subarray(off)).equals(before)).toBe(true);
  expect([view.getUint32(off + 32, true), cmd, auxBytes]).toEqual([BLK_READ, BLK_READ, 3]);
});
