import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CIRCUIT, type DialectRules, LINKID, TRUNK } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from './frame.ts';
import { inOtherOrder, Recorder } from './frames.fixture.ts';
import { FrameReader } from './framing.ts';
import { AUX_BYTES_AT, MAX_HEADER_BYTES, TARGET_AT } from './header.ts';
import { encodeMessage } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import { OutBuffer } from './out-buffer.ts';
import type { Outbox } from './outbox.ts';
import { SaltSequence } from './salt.ts';
import { readU32, viewOf } from './words.ts';

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

/** Reads one message that is encoded under `rules`, and passes it on under the rules of `out`. */
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

describe('a message that is written', () => {
  /** An outbox whose room is not zeroed and lies in the middle of other bytes. */
  function dirty(): Outbox & { readonly sent: () => Uint8Array } {
    const buf = new Uint8Array(16 * 1024).fill(0xee);
    let end = 100;
    return {
      buf,
      view: viewOf(buf),
      at: end,
      reserve: (bytes) => {
        end += bytes;
      },
      pass: () => {},
      hold: () => {},
      sent: () => buf.subarray(100, end),
    };
  }

  it('equals encodeMessage, whatever was in its place, and nothing around it is touched', () => {
    fc.assert(
      fc.property(message, fc.constantFrom(CIRCUIT, LINKID, TRUNK), fc.nat(255), (fields, rules, error) => {
        const { blocks, msgid, circuit, target, aux, ...rest } = fields;
        const cmd = 0x1200 | blocks;
        const payload = rest.payload.subarray(0, 64 * (blocks - 1));
        const out = dirty();
        const writer = new MessageWriter(rules, out, { next: () => 0x1234_5600 });
        const ids = [msgid.lo, msgid.hi, circuit.lo, circuit.hi, target.lo, target.hi] as const;
        writer.write(cmd, ...ids, error, payload.length === 0 ? null : payload, aux.length === 0 ? null : aux);
        const spelled = { rules, cmd, msgid, circuit, target, error, payload, aux, salt: 0x1234_5600 };
        expect(Buffer.from(out.sent())).toEqual(Buffer.from(encodeMessage(spelled)));
        expect([out.buf[99], out.buf[100 + out.sent().length]]).toEqual([0xee, 0xee]);
        expect(writer.messages).toBe(1);
      }),
    );
  });

  it('has a payload and aux data, or none: an empty one counts as none', () => {
    const [none, empty] = [null, new Uint8Array(0)].map((nothing) => {
      const out = dirty();
      new MessageWriter(CIRCUIT, out, { next: () => 0 }).write(0x1202, 1, 2, 3, 4, 5, 6, 7, nothing, nothing);
      return Buffer.from(out.sent());
    });
    expect(empty).toEqual(none);
    expect(none).toHaveLength(128);
  });

  it.each([
    ['a payload that its header has no room for', 0x1202, 65, 0],
    ['no header', 0x1200, 0, 0],
    ['a header that is too large', 0x1200 | (MAX_HEADER_BYTES / 64 + 1), 0, 0],
    ['aux data that is too large', 0x1201, 0, CIRCUIT.auxLimit + 1],
  ])('is refused with %s, and nothing of it is written', (_, cmd, payloadBytes, auxBytes) => {
    const out = dirty();
    const writer = new MessageWriter(CIRCUIT, out, { next: () => 0 });
    const write = () => writer.write(cmd, 0, 0, 0, 0, 0, 0, 0, new Uint8Array(payloadBytes), new Uint8Array(auxBytes));
    expect(write).toThrow(expect.objectContaining({ code: ErrorCode.FIELD }));
    expect([out.sent().length, writer.messages]).toEqual([0, 0]);
  });

  it('may be as large as its limits', () => {
    const writer = new MessageWriter(CIRCUIT, dirty(), { next: () => 0 });
    const largest = 0x1200 | (MAX_HEADER_BYTES / 64);
    expect(() => writer.check(0x1202, new Uint8Array(64), null)).not.toThrow();
    expect(() => writer.check(largest, new Uint8Array(MAX_HEADER_BYTES - 64), null)).not.toThrow();
    expect(() => writer.check(0x1201, null, new Uint8Array(CIRCUIT.auxLimit))).not.toThrow();
  });
});

describe('a message that is passed on', () => {
  it('is valid for its receiver, whatever byte order and dialect it came in', () => {
    const dialects = fc.constantFrom([CIRCUIT, CIRCUIT], [LINKID, LINKID], [CIRCUIT, TRUNK], [TRUNK, LINKID] as const);
    fc.assert(
      fc.property(
        message,
        rewritten,
        dialects,
        fc.boolean(),
        fc.constantFrom('pass', 'passCopy'),
        (fields, { msgid, from, to, flags }, [came, goes], swapped, way) => {
          const { blocks, ...rest } = fields;
          const payload = rest.payload.subarray(0, 64 * (blocks - 1));
          const encoded = encodeMessage({ ...rest, payload, rules: came!, cmd: 0x1200 | blocks, salt: 0x1234_5600 });
          const bytes = swapped ? inOtherOrder(encoded) : encoded;
          const aux = bytes.slice(64 * blocks);
          const cmd = ((flags << 26) | 0x1200 | blocks) >>> 0;
          const sent = passOn(bytes, came!, goes!, (writer, frame) => {
            const before = Buffer.from(frame.buf);
            writer[way](frame, cmd, msgid.lo, msgid.hi, from.lo, from.hi, to.lo, to.hi);
            // passCopy leaves the frame unchanged, so that it can be sent to others.
            if (way === 'passCopy') expect(Buffer.from(frame.buf)).toEqual(before);
          });
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

  it.each(['pass', 'passCopy'] as const)('%s: has as much aux data as the dialect allows, in its unit', (way) => {
    const offTrunk = (bytes: number, to: DialectRules): Uint8Array => {
      const aux = new Uint8Array(bytes).fill(7);
      const encoded = encodeMessage({ rules: TRUNK, cmd: 0x1201, aux, salt: 0 });
      return passOn(encoded, TRUNK, to, (writer, frame) => {
        try {
          writer[way](frame, frame.cmd, 1, 2, 3, 4, 5, 6);
        } finally {
          expect(writer.messages).toBe(bytes > to.auxLimit ? 0 : 1);
        }
      });
    };
    for (const to of [LINKID, CIRCUIT]) {
      for (const bytes of [0, 1, 64, 65, LINKID.auxLimit]) {
        const sent = offTrunk(bytes, to);
        expect(readU32(sent, AUX_BYTES_AT)).toBe(Math.ceil(bytes / to.auxUnit));
        const recorder = new Recorder();
        new FrameReader({ rules: to }).push(sent, recorder);
        expect(recorder.frames).toHaveLength(1);
      }
    }
    expect(() => offTrunk(LINKID.auxLimit + 1, LINKID)).toThrow(expect.objectContaining({ code: ErrorCode.FIELD }));
  });

  it.each([0, 1, 64])('keeps a wrong hdr_crc if a bit of it has flipped since it was verified (aux %i)', (aux) => {
    const payload = Buffer.from('payload');
    const bytes = encodeMessage({ rules: CIRCUIT, cmd: 0x1202, payload, aux: new Uint8Array(aux), salt: 0 });
    const sent = passOn(bytes, CIRCUIT, CIRCUIT, (writer, frame) => {
      frame.buf[frame.off + 70]! ^= 1;
      writer.pass(frame, frame.cmd, 1, 2, 3, 4, 5, 6);
    });
    const heard = () => new FrameReader({ rules: CIRCUIT }).push(sent, new Recorder());
    expect(heard).toThrow(DmsgError);
    expect(heard).toThrow(expect.objectContaining({ code: ErrorCode.HCRC }));
  });
});
