import { LNK_PING } from '@spanmesh/dmsg/command';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { MessageWriter } from '@spanmesh/dmsg/message-writer';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import { RandomPool, SaltSequence } from '@spanmesh/dmsg/salt';
import type { Figure } from './figure.ts';
import { threadSeconds } from './thread-time.ts';

/** A read of a socket is at most this large. */
const READ_BYTES = 64 * 1024;

/** Decodes frames (with all checks) and encodes as many, on one core, in pieces of the size of a socket's reads. */
export function codecFigures(seconds: number): Figure[] {
  return [0, 4096, 65536].map((auxBytes) => ({
    row: auxBytes === 0 ? '64 bytes' : `64 bytes + ${auxBytes / 1024} KiB aux`,
    value: pump(auxBytes, seconds),
    unit: 'frames/s',
  }));
}

/** Frames a second. */
function pump(auxBytes: number, seconds: number): number {
  const out = new OutBuffer();
  const writer = new MessageWriter(CIRCUIT, out, new SaltSequence(new RandomPool()));
  let frames = 0;
  const sink = {
    onFrame(frame: Frame) {
      frames++;
      writer.write(LNK_PING, frame.msgidLo, frame.msgidHi, frame.circuitLo, frame.circuitHi, 0, 0, 0, null, null);
    },
  };
  // 256 messages: the counter in the salt then starts again, so that the same bytes can be read again and again.
  const stream = messages(256, auxBytes);
  const reader = new FrameReader({ rules: CIRCUIT });
  const began = threadSeconds();
  let used = 0;
  do {
    for (let at = 0; at < stream.length; at += READ_BYTES) {
      reader.push(stream.subarray(at, Math.min(at + READ_BYTES, stream.length)), sink);
      out.take();
    }
    used = threadSeconds() - began;
  } while (used < seconds);
  return frames / used;
}

function messages(n: number, auxBytes: number): Uint8Array {
  const aux = Buffer.alloc(auxBytes, 0x5a);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < n; i++) {
    parts.push(encodeMessage({ rules: CIRCUIT, cmd: LNK_PING, msgid: { lo: i, hi: 0xfffff800 }, aux, salt: i }));
  }
  return Buffer.concat(parts);
}
