import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { BASE_MASK, LNK_CONN_CIRCUIT, LNK_CONN_LINKID, LNK_ERROR, LNK_PAD, LNK_PING, LNK_SPAN } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { CIRCUIT, LINKID } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from './frame.ts';
import { chunks, errorOf, inOtherOrder, Recorder, readerAt, shell } from './frames.fixture.ts';
import { FrameReader, MAX_HELD_BYTES } from './framing.ts';
import { sealHeader } from './header.ts';
import type { MessageFields } from './message.ts';
import { encodeMessage } from './message.ts';
import { writeU32 } from './words.ts';

/** Ids that a double cannot distinguish, or that look negative. */
const IDS = [
  { lo: 0x12345640, hi: 0xfffff800 },
  { lo: 0x12345680, hi: 0xfffff800 },
  { lo: 0xffffffff, hi: 0xffffffff },
  { lo: 0, hi: 0x80000000 },
  { lo: 1, hi: 0 },
] as const;

type Body = Omit<MessageFields, 'rules' | 'salt'>;

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const rulesArb = fc.constantFrom(LINKID, CIRCUIT);
const bodyArb: fc.Arbitrary<Body> = fc.record({
  cmd: fc
    .tuple(fc.integer({ min: 0, max: 0xffffff }), fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 32 })))
    .map(([upper, size]) => upper * 256 + size),
  msgid: fc.constantFrom(...IDS),
  circuit: fc.constantFrom(...IDS),
  target: fc.constantFrom(...IDS),
  error: u32,
  aux: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 700 })),
});

/** The stream of these messages, each header in the sender's byte order. */
function stream(rules: DialectRules, bodies: readonly Body[], bigEndian: readonly boolean[] = []): Buffer {
  return Buffer.concat(
    bodies.map((body, i) => {
      const message = encodeMessage({ rules, ...body, salt: (0xabcdef00 | (i & 0xff)) >>> 0 });
      return bigEndian[i] ? inOtherOrder(message) : message;
    }),
  );
}

function read(rules: DialectRules | null, parts: readonly Uint8Array[]): { recorder: Recorder; reader: FrameReader } {
  const reader = new FrameReader({ rules });
  const recorder = new Recorder();
  for (const part of parts) reader.push(part, recorder);
  return { recorder, reader };
}

/** A core header with these words, sealed. */
function header(cmd: number, auxWord: number, salt = 0): Buffer {
  const buf = Buffer.alloc(64);
  buf.writeUInt16LE(0x4832, 0);
  writeU32(buf, 32, cmd);
  writeU32(buf, 40, auxWord);
  sealHeader(buf, 0, 64, salt);
  return buf;
}

describe('a stream of messages', () => {
  it('gives the same frames however it is cut, in either byte order', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 5000 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(
        rulesArb,
        fc.array(bodyArb, { maxLength: 8 }),
        fc.array(fc.boolean(), { maxLength: 8 }),
        sizes,
        (rules, bodies, orders, cuts) => {
          const bytes = stream(rules, bodies, orders);
          const { recorder, reader } = read(rules, chunks(bytes, cuts));
          expect(reader.pendingBytes).toBe(0);
          expect(recorder.frames).toHaveLength(bodies.length);
          for (const [i, body] of bodies.entries()) {
            const { fields } = recorder.frames[i]!;
            expect(fields).toMatchObject({
              cmd: body.cmd,
              headBytes: (body.cmd & 0xff) * 64,
              msgidLo: body.msgid!.lo,
              msgidHi: body.msgid!.hi,
              circuitLo: body.circuit!.lo,
              circuitHi: body.circuit!.hi,
              targetLo: body.target!.lo,
              targetHi: body.target!.hi,
              error: body.error,
              auxPadded: Math.ceil(body.aux!.length / 64) * 64,
              auxBytes: rules.auxUnit === 1 ? body.aux!.length : Math.ceil(body.aux!.length / 64) * 64,
            });
          }
          const whole = read(rules, [stream(rules, bodies)]).recorder;
          const noHdrCrc = (frame: Recorder['frames'][number]): string =>
            Buffer.from(frame.bytes).fill(0, 60, 64).toString('hex');
          expect(recorder.frames.map(noHdrCrc)).toEqual(whole.frames.map(noHdrCrc));
        },
      ),
    );
  });

  it('fails in the same place with the same code however it is cut', () => {
    fc.assert(
      fc.property(
        rulesArb,
        fc.array(bodyArb, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 6 }),
        (rules, bodies, place, flip, cuts) => {
          const bytes = stream(rules, bodies);
          bytes[place % bytes.length]! ^= flip;
          const outcome = (parts: readonly Uint8Array[]): unknown => {
            const recorder = new Recorder();
            const reader = new FrameReader({ rules });
            const error = errorOf(() => {
              for (const part of parts) reader.push(part, recorder);
            });
            return { code: error?.code, frames: recorder.frames };
          };
          expect(outcome(chunks(bytes, cuts))).toEqual(outcome(chunks(bytes, [])));
        },
      ),
    );
  });

  it('of random bytes at worst throws a DmsgError', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(LINKID, CIRCUIT, null),
        fc.boolean(),
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        (rules, plausible, parts) => {
          const reader = new FrameReader({ rules });
          if (plausible && parts[0] !== undefined && parts[0].length >= 64) {
            parts[0].set([0x32, 0x48], 0);
            parts[0][32] = (parts[0][32]! & 3) + 1;
            if (parts[0].length >= parts[0][32]! * 64) sealHeader(parts[0], 0, parts[0][32]! * 64, 0);
          }
          errorOf(() => {
            for (const part of parts) reader.push(part, new Recorder());
            reader.setRules(CIRCUIT);
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  it('may have more messages than the counter has values', () => {
    const bodies = Array.from({ length: 600 }, () => ({ cmd: LNK_PING }));
    expect(read(LINKID, chunks(stream(LINKID, bodies), [1000])).recorder.frames).toHaveLength(600);
  });
});

describe('a message is refused', () => {
  const push = (rules: DialectRules, bytes: Uint8Array): number | undefined =>
    errorOf(() => new FrameReader({ rules }).push(bytes, new Recorder()))?.code;

  it('with another magic: SYNC', () => {
    expect(push(LINKID, Buffer.alloc(64))).toBe(ErrorCode.SYNC);
    expect(push(LINKID, Buffer.alloc(63))).toBeUndefined();
  });

  // Limits: wire/header.ts MAX_HEADER_BYTES
  it('with a header of 0 or of more than 2048 bytes: FIELD', () => {
    expect(push(CIRCUIT, header(0, 0))).toBe(ErrorCode.FIELD);
    expect(push(CIRCUIT, header(33, 0))).toBe(ErrorCode.FIELD);
    expect(push(CIRCUIT, header(32, 0))).toBeUndefined();
  });

  it('with a header larger than the limit that the reader was given: FIELD', () => {
    const reader = new FrameReader({ rules: CIRCUIT, maxHeader: 64 });
    expect(errorOf(() => reader.push(header(2, 0), new Recorder()))?.code).toBe(ErrorCode.FIELD);
  });

  it('with aux data over the limit of the dialect: FIELD, before any of it has come', () => {
    expect(push(LINKID, header(LNK_PAD, 1024))).toBeUndefined();
    expect(push(LINKID, header(LNK_PAD, 1025))).toBe(ErrorCode.FIELD);
    expect(push(LINKID, header(LNK_PAD, 0xffffffff))).toBe(ErrorCode.FIELD);
    expect(push(CIRCUIT, header(LNK_PAD, 1024 * 1024))).toBeUndefined();
    expect(push(CIRCUIT, header(LNK_PAD, 1024 * 1024 + 1))).toBe(ErrorCode.FIELD);
    expect(push(CIRCUIT, header(LNK_PAD, 0xffffffff))).toBe(ErrorCode.FIELD);
  });

  it('with a wrong CRC of the header, core or extended: HCRC', () => {
    for (const at of [8, 61, 64, 447]) {
      const bytes = encodeMessage({ rules: CIRCUIT, cmd: LNK_SPAN, salt: 0 });
      bytes[at]! ^= 1;
      expect(push(CIRCUIT, bytes)).toBe(ErrorCode.HCRC);
    }
  });

  it('with a wrong CRC of the aux data, padding included: ACRC', () => {
    for (const at of [64, 68, 70, 127]) {
      const bytes = shell(CIRCUIT, 'help', 0);
      bytes[at]! ^= 1;
      expect(push(CIRCUIT, bytes)).toBe(ErrorCode.ACRC);
    }
  });

  it('with a counter other than the next: MSGSEQ', () => {
    expect(push(LINKID, header(LNK_PING, 0, 1))).toBe(ErrorCode.MSGSEQ);
    expect(push(LINKID, Buffer.concat([header(LNK_PING, 0), header(LNK_PING, 0)]))).toBe(ErrorCode.MSGSEQ);
    expect(push(LINKID, inOtherOrder(header(LNK_PING, 0, 0xaabbcc01)))).toBe(ErrorCode.MSGSEQ);
  });

  it('but not for a wrong aux_crc without aux data', () => {
    const bytes = header(LNK_PING, 0);
    writeU32(bytes, 36, 0x12345678);
    sealHeader(bytes, 0, 64, 0);
    expect(push(LINKID, bytes)).toBeUndefined();
  });
});

describe('memory', () => {
  it('is not spent on what a header merely claims', () => {
    const reader = new FrameReader({ rules: CIRCUIT });
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 200 }, () => new FrameReader({ rules: CIRCUIT }));
    for (const one of [reader, ...readers]) one.push(header(LNK_PAD, 1024 * 1024), new Recorder());
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
    expect(reader.pendingBytes).toBe(64);
  });

  it('of a message is never written to again', () => {
    const bytes = stream(
      CIRCUIT,
      Array.from({ length: 40 }, () => ({ cmd: 2, aux: Buffer.alloc(100, 7) })),
    );
    const kept: Uint8Array[] = [];
    const reader = new FrameReader({ rules: CIRCUIT });
    const onFrame = (frame: Frame): void => {
      kept.push(frame.buf.subarray(frame.off, frame.off + frame.headBytes + frame.auxPadded));
      // A sink may rewrite its message.
      frame.buf.fill(kept.length, frame.off, frame.off + frame.headBytes + frame.auxPadded);
    };
    for (const part of chunks(bytes, [700, 13, 90])) reader.push(part, { onFrame });
    expect(kept).toHaveLength(40);
    for (const [i, slice] of kept.entries()) expect(slice.every((byte) => byte === i + 1)).toBe(true);
    expect(new Set(kept.map((slice) => `${slice.buffer.byteLength}`)).size).toBeGreaterThan(1);
  });

  it('of whole messages is the chunk itself', () => {
    const bytes = stream(CIRCUIT, [{ cmd: LNK_PING }, { cmd: LNK_PING }]);
    const seen: unknown[] = [];
    new FrameReader({ rules: CIRCUIT }).push(bytes, { onFrame: (frame) => seen.push(frame.buf === bytes, frame.off) });
    expect(seen).toEqual([true, 0, true, 64]);
  });

  it('is released after the push and on close', () => {
    const reader = new FrameReader({ rules: CIRCUIT });
    let cursor: Frame | null = null;
    reader.push(Buffer.concat([header(LNK_PING, 0), header(LNK_PING, 0, 1).subarray(0, 20)]), {
      onFrame: (frame) => {
        cursor = frame;
      },
    });
    expect(cursor!.buf).toHaveLength(0);
    expect(reader.pendingBytes).toBe(20);
    reader.stop();
    expect(reader.pendingBytes).toBe(0);
  });
});

describe('without a dialect', () => {
  const conn = (rules: DialectRules, salt: number, aux?: Uint8Array): Uint8Array =>
    encodeMessage({ rules, cmd: (rules.lnkConn | 0x80000000) >>> 0, salt, ...(aux && { aux }) });
  const ack = (rules: DialectRules, salt: number): Uint8Array =>
    encodeMessage({ rules, cmd: (LNK_ERROR | 0xa0000000) >>> 0, msgid: IDS[0], salt });
  const commands = (recorder: Recorder): number[] => recorder.frames.map((frame) => frame.fields.cmd & BASE_MASK);

  it.each([LINKID, CIRCUIT])('a LNK_CONN shows it, also one with aux data ($dialect)', (rules) => {
    const bytes = Buffer.concat([conn(rules, 0, Buffer.alloc(65, 1)), shell(rules, 'tree', 1)]);
    for (const cuts of [[], [1], [64], [rules.lnkConn & 0xff]]) {
      const { recorder, reader } = read(null, chunks(bytes, cuts));
      expect(reader.rules).toBe(rules);
      expect(recorder.frames.map((frame) => frame.fields.auxPadded)).toEqual([128, 64]);
    }
  });

  it('a DBG_SHELL means linkid', () => {
    const { recorder, reader } = read(null, [shell(LINKID, 'x'.repeat(100), 0)]);
    expect(reader.rules).toBe(LINKID);
    expect(recorder.frames[0]!.fields.auxPadded).toBe(128);
  });

  it('messages without aux data are held until a later one shows it, then delivered in order', () => {
    const bytes = Buffer.concat([ack(CIRCUIT, 0), inOtherOrder(ack(CIRCUIT, 1)), conn(CIRCUIT, 2), ack(CIRCUIT, 3)]);
    for (const cuts of [[], [1], [100]]) {
      const { recorder, reader } = read(null, chunks(bytes, cuts));
      expect(reader.rules).toBe(CIRCUIT);
      expect(commands(recorder)).toEqual([LNK_ERROR, LNK_ERROR, LNK_CONN_CIRCUIT, LNK_ERROR]);
    }
  });

  it('a message with aux data hides what is behind it until setRules', () => {
    const held = encodeMessage({ rules: CIRCUIT, cmd: 0x00077701, aux: Buffer.alloc(200, 3), salt: 0 });
    const { recorder, reader } = read(null, chunks(Buffer.concat([held, conn(CIRCUIT, 1)]), [100]));
    expect(reader.rules).toBeNull();
    expect(recorder.frames).toHaveLength(0);
    expect(reader.pendingBytes).toBe(64 + 256 + 384);
    reader.setRules(CIRCUIT);
    expect(commands(recorder)).toEqual([0x00077701, LNK_CONN_CIRCUIT]);
    expect(reader.pendingBytes).toBe(0);
    reader.push(ack(CIRCUIT, 2), recorder);
    expect(recorder.frames).toHaveLength(3);
  });

  it('memory for a message whose rest comes in one chunk is allocated once, besides that of its core header', () => {
    const payload = Buffer.alloc(448, 5);
    const whole = encodeMessage({ rules: CIRCUIT, cmd: 0x00077708, payload, aux: Buffer.alloc(60_000, 3), salt: 0 });
    const recorder = new Recorder();
    const reader = new FrameReader({ rules: CIRCUIT });
    reader.push(whole.subarray(0, 10), recorder);
    const made = vi.spyOn(Buffer, 'allocUnsafeSlow');
    reader.push(whole.subarray(10), recorder);
    const sizes = made.mock.calls.map(([bytes]) => bytes);
    made.mockRestore();
    expect(recorder.frames).toHaveLength(1);
    expect(sizes).toEqual([64, whole.length]);
  });

  it('setRules keeps the beginning of a cut message', () => {
    const bytes = Buffer.concat([ack(LINKID, 0), ack(LINKID, 1)]);
    const { recorder, reader } = read(null, [bytes.subarray(0, 100)]);
    reader.setRules(LINKID);
    expect(recorder.frames).toHaveLength(1);
    expect(reader.pendingBytes).toBe(36);
    reader.push(bytes.subarray(100), recorder);
    expect(recorder.frames).toHaveLength(2);
  });

  it('held messages are checked as they come', () => {
    const { reader } = read(null, [ack(LINKID, 0)]);
    expect(errorOf(() => reader.push(ack(LINKID, 2), new Recorder()))?.code).toBe(ErrorCode.MSGSEQ);
    expect(errorOf(() => read(null, [Buffer.alloc(64, 1)]))?.code).toBe(ErrorCode.SYNC);
    expect(errorOf(() => read(null, [header(0, 0)]))?.code).toBe(ErrorCode.FIELD);
  });

  it('a setRules that makes the held messages wrong ends the reader', () => {
    const { recorder, reader } = read(null, [header(0x00077701, 2000)]);
    expect(errorOf(() => reader.setRules(LINKID))?.code).toBe(ErrorCode.FIELD);
    expect(errorOf(() => reader.push(Buffer.alloc(1), recorder))?.code).toBe(ErrorCode.STATE);
    reader.setRules(CIRCUIT);
    expect(recorder.frames).toHaveLength(0);
  });

  // Limits: wire/framing.ts MAX_HELD_BYTES
  it('no more than the limit is held, whatever the chunks', () => {
    const pads = (n: number): Buffer =>
      stream(
        LINKID,
        Array.from({ length: n }, () => ({ cmd: LNK_PAD })),
      );
    const most = MAX_HELD_BYTES / 64;
    for (const cuts of [[], [1000]]) {
      const { recorder, reader } = read(null, chunks(pads(most), cuts));
      expect(reader.pendingBytes).toBe(MAX_HELD_BYTES);
      expect(recorder.frames).toHaveLength(0);
      const error = errorOf(() => reader.push(Buffer.alloc(1), recorder));
      expect([error?.code, error?.reason]).toEqual([ErrorCode.FIELD, 'limit']);
      expect(errorOf(() => read(null, chunks(pads(most + 1), cuts)))?.reason).toBe('limit');
    }
  });

  it('a chunk larger than the limit is read if its beginning shows the dialect', () => {
    const bytes = Buffer.concat([
      conn(LINKID, 0),
      ...Array.from({ length: 3000 }, (_, i) => ack(LINKID, (i + 1) & 0xff)),
    ]);
    const { recorder, reader } = read(null, [bytes]);
    expect(recorder.frames).toHaveLength(3001);
    expect(commands(recorder)[0]).toBe(LNK_CONN_LINKID);
    expect(reader.pendingBytes).toBe(0);
  });
});

describe('the sink', () => {
  it('may stop the reader: the rest is ignored, and so is everything later', () => {
    for (const rules of [LINKID, null]) {
      const reader = new FrameReader({ rules });
      let frames = 0;
      const sink = {
        onFrame: (frame: Frame) => {
          frames++;
          reader.stop();
          expect(frame.buf.length).toBeGreaterThan(0);
        },
      };
      const bytes = Buffer.concat([shell(LINKID, 'a', 0), shell(LINKID, 'b', 1), Buffer.from('garbage')]);
      for (const part of chunks(bytes, [200])) reader.push(part, sink);
      reader.push(Buffer.alloc(500), sink);
      expect(frames).toBe(1);
      expect(reader.pendingBytes).toBe(0);
    }
  });

  it('may change the dialect for the messages behind its frame', () => {
    const reader = new FrameReader({ rules: LINKID });
    const recorder = new Recorder();
    const sink = {
      onFrame: (frame: Frame) => {
        recorder.onFrame(frame);
        reader.setRules(CIRCUIT);
      },
    };
    reader.push(Buffer.concat([shell(LINKID, 'a', 0), shell(CIRCUIT, 'tree', 1)]), sink);
    expect(recorder.frames.map((frame) => frame.fields.auxBytes)).toEqual([64, 5]);
  });

  it('may not push: STATE', () => {
    const reader = readerAt(LINKID, 0);
    const sink = { onFrame: () => reader.push(Buffer.alloc(1), sink) };
    expect(errorOf(() => reader.push(header(LNK_PING, 0), sink))?.code).toBe(ErrorCode.STATE);
  });

  it('ends the reader when it throws', () => {
    const reader = readerAt(LINKID, 0);
    const failure = new RangeError('sink');
    const onFrame = (): void => {
      throw failure;
    };
    expect(() => reader.push(header(LNK_PING, 0), { onFrame })).toThrow(failure);
    expect(errorOf(() => reader.push(header(LNK_PING, 0, 1), new Recorder()))?.code).toBe(ErrorCode.STATE);
  });
});
