import { CIRCUIT, type DialectRules, LINKID } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader, type FrameSink, MAX_HELD_BYTES } from '@spanmesh/dmsg/framing';
import {
  AUX_BYTES_AT,
  AUX_CRC_AT,
  auxField,
  CIRCUIT_AT,
  CMD_AT,
  CORE_HEADER_BYTES,
  ERROR_AT,
  MAGIC_SWAPPED,
  MAX_HEADER_BYTES,
  MSGID_AT,
  swapCoreHeader,
  TARGET_AT,
} from '@spanmesh/dmsg/header';
import { readU16, readU32, readU32BE, writeU32 } from '@spanmesh/dmsg/words';
import { MessageReader, WireFault } from '../peer/wire.ts';
import { Grower } from './grow.ts';
import { mend, sealAsSent } from './mutate.ts';
import type { Random } from './random.ts';
import { recordedStreams } from './recordings.ts';
import { expectThat, Finding, type Target } from './target.ts';

// Places of the control bytes in an input.
/**
 * Bits 0, 1: what the reader knows of the dialect; bit 2: the dialect that it is told later; bits 3, 4: how the sink
 * behaves.
 */
const MODE_AT = 0;
/** How the stream is cut: 0 not at all, 1 after each byte, others at random. */
const SPLIT_AT = 1;
/** When the reader is told the dialect, in 256ths of the stream. */
const TOLD_AT = 2;
const CONTROL_BYTES = 3;

const KNOWS_LINKID = 0;
const KNOWS_CIRCUIT = 1;
const FINDS_OUT = 2;
/** The reader detects the dialect, or is told at TOLD_AT. */
const IS_TOLD = 3;
const SINK_STOPS = 8;
const SINK_THROWS = 16;

const MAX_STREAM_BYTES = 3 * 1024 * 1024;

/** The error that a sink of SINK_THROWS throws. */
class SinkFailure extends Error {}

/** Compares each message with the bytes of the input; stops or throws if the mode says so. */
class CheckingSink implements FrameSink {
  input: Uint8Array = new Uint8Array(0);
  /** Where the next message must begin in `input`. */
  at = CONTROL_BYTES;
  frames = 0;
  reader: FrameReader | null = null;
  mode = 0;
  /** The memory of the chunks, and whether a message of the present chunk was handed out without a copy. */
  scratch: ArrayBufferLike | null = null;
  inPlace = false;
  readonly #head = new Uint8Array(CORE_HEADER_BYTES);

  reset(input: Uint8Array, reader: FrameReader): void {
    this.input = input;
    this.at = CONTROL_BYTES;
    this.frames = 0;
    this.reader = reader;
    this.mode = input[MODE_AT]!;
  }

  onFrame(frame: Frame): void {
    this.frames++;
    if (frame.buf.buffer === this.scratch) this.inPlace = true;
    const { buf, off, headBytes, auxPadded } = frame;
    const bytes = headBytes + auxPadded;
    expectThat(this.at + bytes <= this.input.length, 'a message longer than what came');
    const rules = this.reader!.rules!;
    // A message that had begun when the reader was told another dialect ends in the old one.
    const isOld = (this.mode & 3) === IS_TOLD && auxField(rules.auxUnit, frame.auxBytes) !== this.#auxFieldThatCame();
    this.#compareHead(frame, isOld ? (rules.stacked ? LINKID : CIRCUIT) : rules);
    const { input, at } = this;
    for (let i = CORE_HEADER_BYTES; i < bytes; i++) {
      if (buf[off + i] !== input[at + i]) throw new Finding(`payload or aux data changed at ${i}`);
    }
    this.at += bytes;
    if (this.frames === 2 && (this.mode & SINK_STOPS) !== 0) this.reader!.stop();
    if (this.frames === 2 && (this.mode & SINK_THROWS) !== 0) throw new SinkFailure();
  }

  #auxFieldThatCame(): number {
    const at = this.at + AUX_BYTES_AT;
    return readU16(this.input, this.at) === MAGIC_SWAPPED ? readU32BE(this.input, at) : readU32(this.input, at);
  }

  /** Writes the core header anew from the frame's fields, in the sender's byte order: it must equal the input. */
  #compareHead(frame: Frame, rules: DialectRules): void {
    const head = this.#head;
    const { buf, off, headBytes } = frame;
    for (let i = 0; i < CORE_HEADER_BYTES; i++) head[i] = buf[off + i]!;
    writeU32(head, MSGID_AT, frame.msgidLo);
    writeU32(head, MSGID_AT + 4, frame.msgidHi);
    writeU32(head, CIRCUIT_AT, frame.circuitLo);
    writeU32(head, CIRCUIT_AT + 4, frame.circuitHi);
    writeU32(head, TARGET_AT, frame.targetLo);
    writeU32(head, TARGET_AT + 4, frame.targetHi);
    writeU32(head, CMD_AT, frame.cmd);
    writeU32(head, AUX_CRC_AT, frame.auxCrc);
    writeU32(head, AUX_BYTES_AT, auxField(rules.auxUnit, frame.auxBytes));
    writeU32(head, ERROR_AT, frame.error);
    const { input, at } = this;
    const swapped = readU16(input, at) === MAGIC_SWAPPED;
    if (swapped) swapCoreHeader(head, 0);
    if (headBytes === CORE_HEADER_BYTES) sealAsSent(head, 0, headBytes, swapped);
    for (let i = 0; i < CORE_HEADER_BYTES; i++) {
      if (head[i] !== input[at + i]) throw new Finding(`core header changed at ${i}`);
    }
  }
}

/**
 * FrameReader: each input is read twice, in one piece and cut. Oracles: only DmsgError is thrown; frames that are
 * written anew are equal to the input, byte by byte; cuts make no difference; the bytes held stay within their limits;
 * one input in 64 is also read by the tests' own codec.
 */
export class FramingTarget implements Target {
  readonly name = 'framing';
  readonly maxBytes = CONTROL_BYTES + MAX_STREAM_BYTES;
  readonly controlBytes = CONTROL_BYTES;
  readonly counts: Record<string, number> = { messages: 0, bytes: 0 };

  readonly #grower = new Grower(recordedStreams());
  readonly #sink = new CheckingSink();
  // Chunks belong to the reader, which may write to them, so they are copies of the input.
  readonly #scratch = new Uint8Array(MAX_STREAM_BYTES);
  #received = 0;
  /** The dialect of the reader at the end of the last pass. */
  #found: DialectRules | null = null;

  generate(random: Random, buf: Uint8Array): number {
    const kind = random.below(256);
    buf[MODE_AT] = random.oneIn(8) ? random.u32() : random.below(8);
    buf[SPLIT_AT] = random.u32();
    buf[TOLD_AT] = random.u32();
    const start = CONTROL_BYTES;
    if (kind < 80) {
      const end = start + random.below(100);
      random.fill(buf, start, end);
      if (random.oneIn(2)) {
        buf[start] = 0x32;
        buf[start + 1] = 0x48;
      }
      return Math.max(end, start);
    }
    const stream = this.#grower.stream(random);
    if (!random.oneIn(8)) buf[MODE_AT] = (buf[MODE_AT]! & ~5) | (stream.rules.stacked ? 5 : 0);
    const rules = rulesOfMode(buf[MODE_AT]!) ?? stream.rules;
    let end = start;
    if (kind < 112) end = this.#grower.noise(random, buf, start, start + 512);
    else end = this.#grower.messages(random, stream, random.few(8, 90), buf, start, this.maxBytes - (1 << 21));
    if (random.oneIn(4000)) {
      end = this.#grower.large(random, rules, 64 * random.few(1 << 14, 255) * random.few(16, 200), buf, end);
      end = Math.min(end, this.maxBytes);
    }
    return this.#grower.finish(random, rules, buf, start, end);
  }

  run(input: Uint8Array): void {
    if (input.length < CONTROL_BYTES) return;
    const original = Buffer.allocUnsafeSlow;
    let largest = 0;
    Buffer.allocUnsafeSlow = (bytes: number) => {
      if (bytes > largest) largest = bytes;
      return original.call(Buffer, bytes);
    };
    try {
      const whole = this.#pass(input, 0);
      const { frames, at } = this.#sink;
      this.counts.messages! += frames;
      this.counts.bytes! += input.length - CONTROL_BYTES;
      if (whole > ErrorCode.OK) {
        const name = errorName(whole);
        this.counts[name] = (this.counts[name] ?? 0) + 1;
      }
      const cut = this.#pass(input, input[SPLIT_AT]!);
      expectThat(cut === whole, () => `cut: error ${cut}, whole: error ${whole}`);
      expectThat(this.#sink.frames === frames && this.#sink.at === at, 'cut: other messages than whole');
      // The buffer grows to at most four times the received bytes (framing.ts).
      expectThat(largest <= 4 * (input.length - CONTROL_BYTES), () => `a buffer of ${largest} bytes`);
      if ((input[SPLIT_AT]! & 7) === 7) this.#compareWithKnowing(input, whole, frames);
      if ((input[SPLIT_AT]! & 63) === 63) compareWithOther(input, whole, frames);
    } finally {
      Buffer.allocUnsafeSlow = original;
    }
  }

  /**
   * Compares with a reader that knows the dialect. If the first reader detected it, both must find the same; otherwise
   * the first one must not have failed by itself.
   */
  #compareWithKnowing(input: Uint8Array, code: number, frames: number): void {
    const mode = input[MODE_AT]!;
    if ((mode & (3 | SINK_STOPS | SINK_THROWS)) !== FINDS_OUT || input.length - CONTROL_BYTES > MAX_HELD_BYTES) return;
    const found = this.#found;
    const outcome = (knows: number): { code: number; frames: number } => {
      const knowing = input.slice();
      knowing[MODE_AT] = (mode & ~3) | knows;
      return { code: this.#pass(knowing, 0), frames: this.#sink.frames };
    };
    if (found !== null) {
      const same = outcome(found.stacked ? KNOWS_CIRCUIT : KNOWS_LINKID);
      expectThat(same.code === code && same.frames === frames, 'finding the dialect out makes a difference');
    } else if (code > ErrorCode.OK) {
      const both = [outcome(KNOWS_LINKID).code, outcome(KNOWS_CIRCUIT).code];
      expectThat(!both.includes(ErrorCode.OK), () => `error ${code}, which is none in one of the dialects`);
    }
  }

  mend(input: Uint8Array): void {
    const mode = input[MODE_AT]!;
    mend(input, CONTROL_BYTES, input.length, rulesOfMode(mode) ?? (mode & 4 ? CIRCUIT : LINKID));
  }

  /** Returns the code of the error that ended the reader; 0 if none did. */
  #pass(input: Uint8Array, split: number): number {
    const mode = input[MODE_AT]!;
    const reader = new FrameReader({ rules: rulesOfMode(mode) });
    const sink = this.#sink;
    sink.reset(input, reader);
    const total = input.length - CONTROL_BYTES;
    const toldAt = (mode & 3) === IS_TOLD ? Math.floor((total * input[TOLD_AT]!) / 256) : total + 1;
    this.#received = 0;
    let code = 0;
    try {
      this.#push(reader, input, 0, Math.min(toldAt, total), split);
      if (toldAt <= total) {
        reader.setRules(mode & 4 ? CIRCUIT : LINKID);
        this.#push(reader, input, toldAt, total, split);
      }
      checkHeld(reader, this.#received, mode);
    } catch (error) {
      code = this.#ended(reader, error);
    }
    this.#found = reader.rules;
    reader.stop();
    expectThat(reader.pendingBytes === 0, 'a closed reader holds bytes');
    return code;
  }

  #push(reader: FrameReader, input: Uint8Array, start: number, end: number, split: number): void {
    let state = split;
    for (let at = start; at < end; ) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      // Long inputs are not cut after each byte, which would take too long.
      const usual =
        split === 0 ? end : split === 1 && end < 4096 ? 1 : 1 + ((state >>> 16) % (end < 4096 ? 200 : 70_000));
      const bytes = Math.min(usual, end - at);
      const chunk = this.#scratch.subarray(at, at + bytes);
      chunk.set(input.subarray(CONTROL_BYTES + at, CONTROL_BYTES + at + bytes));
      at += bytes;
      this.#received = at;
      this.#sink.scratch = this.#scratch.buffer;
      this.#sink.inPlace = false;
      if (reader.push(chunk, this.#sink)) {
        expectThat(!this.#sink.inPlace, 'a chunk is given back, and a message was handed out of it');
        chunk.fill(0xee);
      }
      if (split !== 0) checkHeld(reader, at, input[MODE_AT]!);
    }
  }

  #ended(reader: FrameReader, error: unknown): number {
    if (error instanceof SinkFailure) return -1;
    if (!(error instanceof DmsgError)) throw error;
    expectThat(reader.pendingBytes === 0, 'a dead reader holds bytes');
    expectThat(ALLOWED.has(error.code), () => `error code ${error.code} from the framing`);
    return error.code;
  }
}

/** The codes that FrameReader.push may throw for a bad stream. */
const ALLOWED: ReadonlySet<number> = new Set([
  ErrorCode.SYNC,
  ErrorCode.FIELD,
  ErrorCode.HCRC,
  ErrorCode.ACRC,
  ErrorCode.MSGSEQ,
]);

/**
 * Checks the bytes held (framing.ts): one message at most, 64 KiB while the dialect is unknown; never more than were
 * received.
 */
function checkHeld(reader: FrameReader, received: number, mode: number): void {
  const { pendingBytes, rules } = reader;
  // A message that had begun when the reader was told another dialect keeps the limit of the old one.
  const { auxLimit } = (mode & 3) === IS_TOLD ? CIRCUIT : (rules ?? CIRCUIT);
  const limit = rules === null ? MAX_HELD_BYTES : MAX_HEADER_BYTES + auxLimit;
  expectThat(pendingBytes <= Math.min(limit, received), () => `${pendingBytes} bytes held of ${received}`);
}

function rulesOfMode(mode: number): DialectRules | null {
  const knows = mode & 3;
  return knows === KNOWS_LINKID ? LINKID : knows === KNOWS_CIRCUIT ? CIRCUIT : null;
}

/**
 * The tests' own codec must find the same messages. It only examines complete messages, so it may find a fault later.
 */
function compareWithOther(input: Uint8Array, code: number, frames: number): void {
  const rules = rulesOfMode(input[MODE_AT]!);
  if (rules === null || (input[MODE_AT]! & (SINK_STOPS | SINK_THROWS)) !== 0) return;
  const other = new MessageReader(rules.dialect, { checkSalt: true, checkZero: 'none' });
  let found = 0;
  let failed = false;
  // One message at a time, because its reader discards the messages before a fault.
  const stream = input.subarray(CONTROL_BYTES);
  try {
    for (let at = 0; at < stream.length; at += 64) found += other.push(stream.subarray(at, at + 64)).length;
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    failed = true;
  }
  expectThat(found === frames, () => `the other codec finds ${found} messages, the reader ${frames}`);
  expectThat(!failed || code !== ErrorCode.OK, 'the other codec refuses what the reader takes');
}
