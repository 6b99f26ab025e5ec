import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { CMD_AT, CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { writeU32 } from '@spanmesh/dmsg/words';
import { mend, messageBytes, mutate, mutateInside } from './mutate.ts';
import type { Random } from './random.ts';
import type { RecordedStream } from './recordings.ts';

/** Longest recorded piece that is used. The only longer ones are in errors.json, and would make most inputs long. */
const USUAL_BYTES = 4096;

/** Makes streams of messages from recorded ones. */
export class Grower {
  readonly #streams: readonly RecordedStream[];

  constructor(streams: readonly RecordedStream[]) {
    this.#streams = streams;
  }

  /** A random recorded stream. */
  stream(random: Random): RecordedStream {
    return random.pick(this.#streams);
  }

  /**
   * Writes a few messages of `stream` from `at` on: some of them changed, repeated, left out, or taken from another
   * stream. Returns the end of the written bytes, at most `end`.
   */
  messages(random: Random, stream: RecordedStream, count: number, buf: Uint8Array, at: number, end: number): number {
    const { messages } = stream;
    // Half of the time the beginning of a stream is used, because it contains the LNK_CONN.
    let next = random.oneIn(2) ? 0 : random.below(messages.length);
    let to = at;
    for (let i = 0; i < count; i++) {
      const source = random.oneIn(16) ? random.pick(random.pick(this.#streams).messages) : messages[next]!;
      if (!random.oneIn(16)) next = (next + 1) % messages.length;
      if (source.length > USUAL_BYTES && !random.oneIn(64)) continue;
      if (source.length > end - to) break;
      buf.set(source, to);
      if (source.length > 0 && random.oneIn(4)) mutateInside(random, buf, to, to + source.length);
      if (source.length > 0 && random.oneIn(12)) mutate(random, buf, to, to + source.length);
      to += source.length;
    }
    return to;
  }

  /** Adds one message of random bytes with valid sizes. */
  noise(random: Random, buf: Uint8Array, at: number, end: number): number {
    const units = Math.min(1 + random.below(4), (end - at) >> 6);
    if (units === 0) return at;
    const to = at + units * CORE_HEADER_BYTES;
    random.fill(buf, at, to);
    buf[at + CMD_AT] = random.few(units);
    return to;
  }

  /** Adds a message with `bytes` bytes of aux data, a multiple of 64. */
  large(random: Random, rules: DialectRules, bytes: number, buf: Uint8Array, at: number): number {
    buf.fill(0, at, at + CORE_HEADER_BYTES + bytes);
    writeU32(buf, at + CMD_AT, 0x00100101);
    writeU32(buf, at + 40, bytes / rules.auxUnit);
    buf[at + CORE_HEADER_BYTES + random.below(bytes)] = 1;
    return at + CORE_HEADER_BYTES + bytes;
  }

  /** Finishes a stream: its checksums are mostly corrected, and some bytes may be changed afterwards. */
  finish(random: Random, rules: DialectRules, buf: Uint8Array, start: number, end: number): number {
    if (!random.oneIn(8)) mend(buf, start, end, rules);
    if (end > start && random.oneIn(4)) {
      const first = messageBytes(buf, start, end, rules);
      mutate(random, buf, random.oneIn(2) ? start : Math.min(start + first, end - 1), end);
    }
    return end > start && random.oneIn(6) ? start + random.below(end - start) : end;
  }
}
