import { LNK_CONN_CIRCUIT, LNK_CONN_LINKID } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import {
  BLK_ERROR_BYTES,
  BLK_IO_BYTES,
  BLK_OPEN_BYTES,
  decodeBlkError,
  decodeBlkIo,
  decodeBlkOpen,
  encodeBlkError,
  encodeBlkIo,
  encodeBlkOpen,
} from '@spanmesh/dmsg/payload/blk';
import { decodeShellText, encodeShellText, shellAuxBytes } from '@spanmesh/dmsg/payload/dbg-shell';
import { decodeLnkConn, encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import {
  decodeLnkSpan,
  decodeLnkSpanPayload,
  encodeLnkSpan,
  LNK_SPAN_BYTES,
  relaySpanPayload,
} from '@spanmesh/dmsg/payload/lnk-span';
import { decodeVolconf, encodeVolconf, LNK_VOLCONF_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { readU32 } from '@spanmesh/dmsg/words';
import { FuzzFrame } from './endpoint-frame.ts';
import type { Random } from './random.ts';
import { recordedStreams } from './recordings.ts';
import { expectThat, type Target } from './target.ts';

// Control bytes: the kind of payload; the size of the header that the frame states, sometimes too small.
const CONTROL_BYTES = 2;
const MAX_PAYLOAD_BYTES = 1024;

/** Reads and writes one kind of payload. */
interface Codec {
  readonly cmd: number;
  readonly bytes: number;
  readonly decode: (frame: FuzzFrame) => unknown;
  readonly encode: (value: never, buf: Uint8Array, off: number) => void;
}

const CODECS: readonly Codec[] = [
  { cmd: LNK_CONN_LINKID, bytes: lnkConnBytes('linkid'), decode: decodeLnkConn, encode: encodeLnkConn },
  { cmd: LNK_CONN_CIRCUIT, bytes: lnkConnBytes('circuit'), decode: decodeLnkConn, encode: encodeLnkConn },
  { cmd: 0, bytes: LNK_SPAN_BYTES, decode: (frame) => decodeLnkSpan(frame, 'linkid'), encode: encodeLnkSpan },
  { cmd: 0, bytes: LNK_SPAN_BYTES, decode: (frame) => decodeLnkSpan(frame, 'circuit'), encode: encodeLnkSpan },
  { cmd: 0, bytes: LNK_VOLCONF_BYTES, decode: decodeVolconf, encode: encodeVolconf },
  { cmd: 0, bytes: BLK_OPEN_BYTES, decode: decodeBlkOpen, encode: encodeBlkOpen },
  { cmd: 0, bytes: BLK_IO_BYTES, decode: decodeBlkIo, encode: encodeBlkIo },
  { cmd: 0, bytes: BLK_ERROR_BYTES, decode: decodeBlkError, encode: encodeBlkError },
];
const SHELL = CODECS.length;

/**
 * Decoders of payloads. Oracles: only DmsgError FIELD is thrown, and only if bytes are missing; a value that is written
 * and read again is the same, and is written as the same bytes; a relay differs from its span only where protocol.md
 * says so.
 */
export class PayloadTarget implements Target {
  readonly name = 'payload';
  readonly maxBytes = CONTROL_BYTES + MAX_PAYLOAD_BYTES;
  readonly controlBytes = CONTROL_BYTES;
  readonly counts: Record<string, number> = { 'too short': 0 };

  readonly #frame = new FuzzFrame();
  readonly #first = new Uint8Array(MAX_PAYLOAD_BYTES + 64);
  readonly #second = new Uint8Array(MAX_PAYLOAD_BYTES + 64);
  readonly #recorded = recordedStreams().flatMap(({ messages }) => messages.filter(({ length }) => length > 64));

  generate(random: Random, buf: Uint8Array): number {
    buf[0] = random.below(SHELL + 1);
    buf[1] = random.oneIn(8) ? random.below(20) : 255;
    const end = CONTROL_BYTES + (random.oneIn(8) ? random.below(MAX_PAYLOAD_BYTES) : 512);
    if (random.oneIn(2)) {
      random.fill(buf, CONTROL_BYTES, end);
    } else {
      buf.fill(0, CONTROL_BYTES, end);
      const message = random.pick(this.#recorded);
      buf.set(message.subarray(64, 64 + end - CONTROL_BYTES), CONTROL_BYTES);
      for (let i = random.few(8); i > 0; i--) {
        const at = CONTROL_BYTES + random.below(end - CONTROL_BYTES);
        buf.fill(random.oneIn(3) ? 0xff : random.u32(), at, Math.min(end, at + random.few(64, 220)));
      }
    }
    return end;
  }

  run(input: Uint8Array): void {
    if (input.length < CONTROL_BYTES) return;
    const frame = this.#frame;
    const content = input.subarray(CONTROL_BYTES);
    const which = input[0]! % (SHELL + 1);
    if (which === SHELL) {
      this.#shell(content);
      return;
    }
    const codec = CODECS[which]!;
    const units = Math.min(input[1]!, 1 + (content.length >> 6));
    frame.headBytes = 64 * Math.max(1, units);
    frame.cmd = codec.cmd;
    frame.buf.fill(0xee);
    frame.buf.set(content.subarray(0, frame.headBytes - 64), 64);
    const isWhole = frame.headBytes - 64 >= codec.bytes;
    let value: unknown;
    try {
      value = codec.decode(frame);
    } catch (error) {
      if (!(error instanceof DmsgError) || error.code !== ErrorCode.FIELD) throw error;
      expectThat(!isWhole, 'a whole payload is refused');
      this.counts['too short']!++;
      return;
    }
    expectThat(isWhole, 'a payload that is too short is read');
    this.#writeTwice(codec, value);
    if (codec.decode !== CODECS[2]!.decode && codec.decode !== CODECS[3]!.decode) return;
    checkRelay(which === 2 ? 'linkid' : 'circuit', content.subarray(0, LNK_SPAN_BYTES), readU32(content, 0));
  }

  #writeTwice(codec: Codec, value: unknown): void {
    const [first, second] = [this.#first, this.#second];
    first.fill(0xaa);
    codec.encode(value as never, first, 3);
    expectThat(first[2] === 0xaa && first[3 + codec.bytes] === 0xaa, 'written outside of its place');
    this.#frame.buf.set(first.subarray(3, 3 + codec.bytes), 64);
    const again = codec.decode(this.#frame);
    expectThat(
      comparable(again) === comparable(value),
      () => `reads as ${comparable(again)}, was ${comparable(value)}`,
    );
    second.fill(0xaa);
    codec.encode(again as never, second, 3);
    expectThat(Buffer.compare(first, second) === 0, 'not written as the same bytes again');
  }

  #shell(content: Uint8Array): void {
    const frame = this.#frame;
    const bytes = Math.min(content.length, 192);
    frame.headBytes = 64;
    frame.auxBytes = bytes;
    frame.buf.fill(0x41);
    frame.buf.set(content.subarray(0, bytes), 64);
    const text = decodeShellText(frame);
    expectThat(text.length <= bytes && !text.includes('\0'), 'a text longer than its aux data, or with a NUL');
    const size = shellAuxBytes(text);
    encodeShellText(text, frame.buf, 64, 256);
    frame.auxBytes = size;
    expectThat(decodeShellText(frame) === text, 'a shell text changes');
  }
}

/** Checks a relay (protocol.md, "The link layer" 2). */
function checkRelay(dialect: Dialect, payload: Uint8Array, rnssAdd: number): void {
  if (payload.length < LNK_SPAN_BYTES) return;
  const relay = relaySpanPayload(dialect, payload, rnssAdd);
  const span = decodeLnkSpanPayload(dialect, payload, 0);
  const relayed = decodeLnkSpanPayload(dialect, relay, 0);
  const isLinkid = dialect === 'linkid';
  const dist = isLinkid ? (Math.max(0, span.dist) + 1) | 0 : (span.dist + 1) >>> 0;
  const rnss = isLinkid ? 0 : (span.rnss + rnssAdd) >>> 0;
  expectThat(
    comparable(relayed) === comparable({ ...span, dist, rnss }),
    'a relay that differs too much or too little',
  );
  // Bytes between fields are zero: in linkid 40..47 and 52..111; in circuit 40..47, as the bytes from 112 on are
  // labels.
  const isClean = (start: number, end: number) => relay.subarray(start, end).every((byte) => byte === 0);
  expectThat(isClean(40, 48) && (!isLinkid || (isClean(52, 112) && isClean(368, 384))), 'old memory in a relay');
  const labels = isLinkid
    ? [[112, 368]]
    : ([
        [112, 240],
        [240, 368],
      ] as const);
  for (const [start, end] of labels) {
    expectThat(isClean(relay.indexOf(0, start), end!), 'old memory behind a label');
  }
  expectThat(relay[isLinkid ? 367 : 239] === 0 && (isLinkid || relay[367] === 0), 'a label without its NUL');
}

/** A value without the data that writing does not keep: the received bytes, and whether texts ended in a NUL. */
function comparable(value: unknown): string {
  return JSON.stringify(value, (key, one: unknown) => {
    if (key === 'raw' || key === 'pathTerminated') return undefined;
    return typeof one === 'bigint' ? `${one}n` : one;
  });
}
