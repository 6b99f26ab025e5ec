import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CIRCUIT, type DialectRules, LINKID, TRUNK } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from './frame.ts';
import { inOtherOrder, Recorder } from './frames.fixture.ts';
import { FrameReader } from './framing.ts';
import { TARGET_AT } from './header.ts';
import { encodeMessage } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import { OutBuffer } from './out-buffer.ts';
import { SaltSequence } from './salt.ts';
import { readU32 } from './words.ts';

const half = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 0xffff_ffff));
const id = fc.record({ lo: half, hi: half });
const message = fc.record({
  blocks: fc.constantFrom(1, 2, 6, 32),
  msgid: id,
  circuit: id,
  target: id,
  payload: fc.uint8Array({ maxLength: 64 }),
  aux: fc.constantFrom(0, 1, 64, 130, 5000).map((bytes) => new Uint8Array(bytes).fill(7)),
});
const rewritten = fc.record({ msgid: id, from: id, to: id, flags: fc.nat(0x3f) });

/** Reads one message that came under `rules` and passes it on under `out`'s. */
function passOn(
  bytes: Uint8Array,
  rules: DialectRules,
  to: DialectRules,
  pass: (writer: MessageWriter, frame: Frame) => void,
): Uint8Array {
  const out = new OutBuffer();
  const writer = new MessageWriter(to, out, new SaltSequence());
  new FrameReader({ rules }).push(bytes, { onFrame: (frame) => pass(writer, frame) });
  return Buffer.concat(out.take());
}

describe('a message that is passed on', () => {
  it('is a good one to whom it goes, whatever byte order and dialect it came in', () => {
    const dialects = fc.constantFrom([CIRCUIT, CIRCUIT], [LINKID, LINKID], [CIRCUIT, TRUNK], [TRUNK, LINKID] as const);
    fc.assert(
      fc.property(
        message,
        rewritten,
        dialects,
        fc.boolean(),
        (fields, { msgid, from, to, flags }, [came, goes], swapped) => {
          const { blocks, ...rest } = fields;
          const payload = rest.payload.subarray(0, 64 * (blocks - 1));
          const encoded = encodeMessage({ ...rest, payload, rules: came!, cmd: 0x1200 | blocks, salt: 0x1234_5600 });
          const bytes = swapped ? inOtherOrder(encoded) : encoded;
          const aux = bytes.slice(64 * blocks);
          const cmd = ((flags << 26) | 0x1200 | blocks) >>> 0;
          const sent = passOn(bytes, came!, goes!, (writer, frame) =>
            writer.pass(frame, cmd, msgid.lo, msgid.hi, from.lo, from.hi, to.lo, to.hi),
          );
          const recorder = new Recorder();
          new FrameReader({ rules: goes! }).push(Uint8Array.from(sent), recorder);
          const [heard] = recorder.frames;
          expect(heard?.fields).toMatchObject({ cmd, msgidLo: msgid.lo, msgidHi: msgid.hi });
          expect(heard?.fields).toMatchObject({ circuitLo: from.lo, circuitHi: from.hi });
          const target = goes!.stacked ? fields.target : to;
          expect(readU32(sent, TARGET_AT)).toBe(target.lo);
          expect(Buffer.from(sent.subarray(64 * blocks))).toEqual(Buffer.from(aux));
        },
      ),
    );
  });

  it('is not signed for when a bit of it has tipped over since it was verified', () => {
    const bytes = encodeMessage({ rules: CIRCUIT, cmd: 0x1202, payload: Buffer.from('payload'), salt: 0 });
    const sent = passOn(bytes, CIRCUIT, CIRCUIT, (writer, frame) => {
      frame.buf[frame.off + 70]! ^= 1;
      writer.pass(frame, frame.cmd, 1, 2, 3, 4, 5, 6);
    });
    const heard = () => new FrameReader({ rules: CIRCUIT }).push(sent, new Recorder());
    expect(heard).toThrow(DmsgError);
    expect(heard).toThrow(expect.objectContaining({ code: ErrorCode.HCRC }));
  });
});
