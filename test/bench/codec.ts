import { LNK_PING } from '@spanmesh/dmsg/command';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { MessageWriter } from '@spanmesh/dmsg/message-writer';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import { RandomPool, SaltSequence } from '@spanmesh/dmsg/salt';
import { count, printTable } from './table.ts';

const SECONDS = 2;
/** A read of a socket is at most this large. */
const READ_BYTES = 64 * 1024;

/** Frames decoded (all checks) and as many encoded, on one core, in the sizes of a socket's reads. */
export function benchCodec(): void {
  const rows = [['messages', 'frames/s decoded + encoded', 'aux GB/s checked']];
  for (const [name, auxBytes] of [
    ['64 bytes', 0],
    ['64 bytes + 4 KiB aux', 4096],
    ['64 bytes + 64 KiB aux', 65536],
  ] as const) {
    const { frames, seconds } = pump(auxBytes);
    const rate = frames / seconds;
    rows.push([name, count(rate), auxBytes === 0 ? '' : ((rate * auxBytes) / 1e9).toFixed(2)]);
  }
  printTable('Codec: framing, header, CRC-32C; each frame decoded and an answer of 64 bytes encoded', rows);
}

function pump(auxBytes: number): { frames: number; seconds: number } {
  const out = new OutBuffer();
  const writer = new MessageWriter(CIRCUIT, out, new SaltSequence(new RandomPool()));
  let frames = 0;
  const sink = {
    onFrame(frame: Frame) {
      frames++;
      writer.write(LNK_PING, frame.msgidLo, frame.msgidHi, frame.circuitLo, frame.circuitHi, 0, 0, 0, null, null);
    },
  };
  // 256 messages: the counter in the salt comes round, so that the same bytes can be read again and again.
  const stream = messages(256, auxBytes);
  const reader = new FrameReader({ rules: CIRCUIT });
  const began = process.hrtime.bigint();
  const end = began + BigInt(SECONDS) * 1_000_000_000n;
  let now = began;
  do {
    for (let at = 0; at < stream.length; at += READ_BYTES) {
      reader.push(stream.subarray(at, Math.min(at + READ_BYTES, stream.length)), sink);
      out.take();
    }
    now = process.hrtime.bigint();
  } while (now < end);
  return { frames, seconds: Number(now - began) / 1e9 };
}

function messages(n: number, auxBytes: number): Uint8Array {
  const aux = Buffer.alloc(auxBytes, 0x5a);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < n; i++) {
    parts.push(encodeMessage({ rules: CIRCUIT, cmd: LNK_PING, msgid: { lo: i, hi: 0xfffff800 }, aux, salt: i }));
  }
  return Buffer.concat(parts);
}
