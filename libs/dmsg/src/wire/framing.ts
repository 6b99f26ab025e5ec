import { BASE_MASK, DBG_SHELL, SIZE_MASK } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { LINKID, rulesOfLnkConn } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { crc32c } from './crc.ts';
import type { Frame } from './frame.ts';
import { FrameCursor } from './frame-cursor.ts';
import { giveBack } from './give-back.ts';
import {
  AUX_BYTES_AT,
  AUX_CRC_AT,
  CMD_AT,
  CORE_HEADER_BYTES,
  HDR_CRC_AT,
  MAGIC,
  MAGIC_SWAPPED,
  MAX_HEADER_BYTES,
  padded,
  SALT_AT,
  swapCoreHeader,
} from './header.ts';
import { headerCrcIn } from './header-crc.ts';
import { readU8, viewOf } from './words.ts';

/** Takes the messages of a FrameReader. The frame is a cursor: valid inside the call only. */
export interface FrameSink {
  onFrame(frame: Frame): void;
}

export interface FrameReaderOptions {
  /** The dialect of the sender; null: the sender's first messages will show it. */
  readonly rules: DialectRules | null;
  /** Largest extended header accepted, in bytes; default and upper bound of the protocol: 2048. */
  readonly maxHeader?: number;
  /**
   * False: aux_crc is not checked, because the sender has verified all aux data and the path from there protects it.
   * Default: true.
   */
  readonly verifiesAux?: boolean;
}

/**
 * Most bytes held while the dialect is unknown: room for every message that a peer may sensibly send before its
 * LNK_CONN, but not enough for silent peers to fill the memory.
 */
export const MAX_HELD_BYTES = 64 * 1024;

/**
 * The buffer of a message that arrives in pieces gets this many times the room that its bytes need, so that most
 * messages of 64 KiB are copied only once.
 */
const GROWTH = 4;

/**
 * What a reader does; changed in `#become` only.
 * * open: waits for bytes. From the start, and from busy after each chunk.
 * * busy: reads a chunk and may call its sink. From open.
 * * stopped: ignores everything. From open and busy, by `stop`.
 * * dead: an error was thrown; every further `push` throws. From busy.
 */
type State = 'open' | 'busy' | 'stopped' | 'dead';

/** How many checks of the current message are done; each stage needs more bytes than the one before. */
const START = 0;
/** The sizes in the core header are checked: header and aux size are known. */
const SIZED = 1;
/** The whole extended header is verified, and in little-endian. */
const VERIFIED = 2;

const NOTHING: Uint8Array = Buffer.alloc(0);

/**
 * Finds the messages in a stream of bytes (protocol.md, "Message"), in place: a message that lies whole in a chunk is
 * handed out where it is, one that is cut is collected in a buffer of its own. Before a message is handed out, a core
 * header of the other byte order is swapped in place; afterwards the reader does not write to its bytes any more. So a
 * sink may rewrite a message and pass on its bytes, and may keep them if the owner of the chunk does not overwrite
 * them. With `rules: null` it first waits for the dialect: the first LNK_CONN shows which one, a first DBG_SHELL means
 * linkid (protocol.md, introduction), or `setRules` decides. Messages before that, at most 64 KiB, are held and then
 * delivered first, in order. The unit of aux_bytes depends on the dialect, so the end of a held message with aux data
 * is unknown: messages behind it cannot show the dialect, only `setRules` can decide it. Every check is made as soon as
 * its bytes are there, however the stream is cut. A broken rule throws a DmsgError with the protocol's code and ends
 * the reader: a later `push` throws STATE. An exception of the sink does the same.
 */
export class FrameReader {
  readonly #maxHeader: number;
  readonly #verifiesAux: boolean;
  readonly #cursor = new FrameCursor();
  #rules: DialectRules | null;
  #sink: FrameSink | null = null;
  #state: State = 'open';
  /** Low 8 bits that the next message's salt must have. */
  #sequence = 0;

  /** A message of the current chunk was handed out in place, so somebody may still use the chunk. */
  #handedOut = false;

  // State of the current message.
  #stage = START;
  #swapped = false;
  #headBytes = 0;
  #auxBytes = 0;
  #auxPadded = 0;

  /** The beginning of a cut message, or everything held while the dialect is unknown. */
  #partial: Uint8Array = NOTHING;
  #partialBytes = 0;

  // State of the search for the dialect in the held bytes.
  #scanAt = 0;
  #scanSequence = 0;
  #scanBlocked = false;

  constructor(options: FrameReaderOptions) {
    this.#rules = options.rules;
    this.#verifiesAux = options.verifiesAux ?? true;
    this.#maxHeader = Math.min(options.maxHeader ?? MAX_HEADER_BYTES, MAX_HEADER_BYTES);
  }

  /** The sender's dialect, null while it is unknown. */
  get rules(): DialectRules | null {
    return this.#rules;
  }

  /** Bytes received that no message has been made of yet. */
  get pendingBytes(): number {
    return this.#partialBytes;
  }

  /**
   * Takes the next bytes of the stream; the caller gives the chunk away. The sink gets every message that is now
   * complete. True: no message was handed out in place, so nobody uses the chunk any more.
   * @throws DmsgError SYNC, FIELD, HCRC, ACRC, MSGSEQ: the stream is bad; STATE: the reader is dead, or called from its
   * own sink.
   */
  push(chunk: Uint8Array, sink: FrameSink): boolean {
    if (this.#state === 'stopped') return true;
    this.#enter(sink);
    this.#handedOut = false;
    let at = 0;
    try {
      if (this.#rules === null) at = this.#hold(chunk);
      if (at < chunk.length) this.#consume(chunk, at, sink);
    } catch (error) {
      this.#end('dead');
      throw error;
    }
    this.#leave();
    return !this.#handedOut;
  }

  /**
   * Sets or changes the dialect, from the next message on. If it was unknown, the held messages go to the sink of the
   * last `push` before this returns. Does nothing on a reader that is stopped or dead, so a timer may call it late.
   * @throws DmsgError as `push`, for the held messages.
   */
  setRules(rules: DialectRules): void {
    const wasUnknown = this.#rules === null;
    this.#rules = rules;
    if (!wasUnknown || this.#state !== 'open' || this.#sink === null) return;
    this.#enter(this.#sink);
    try {
      this.#release();
    } catch (error) {
      this.#end('dead');
      throw error;
    }
    this.#leave();
  }

  /**
   * Ignores everything from here on, also the rest of a chunk when called from the sink. The reader keeps no buffer;
   * the sink's frame stays valid.
   */
  stop(): void {
    const busy = this.#state === 'busy';
    if (this.#state === 'dead') return;
    this.#end('stopped');
    if (!busy) this.#cursor.clear();
  }

  #become(state: State): void {
    this.#state = state;
  }

  #enter(sink: FrameSink): void {
    if (this.#state !== 'open') throw new DmsgError(ErrorCode.STATE, `frame reader is ${this.#state}`);
    this.#become('busy');
    this.#sink = sink;
  }

  #leave(): void {
    if (this.#state === 'busy') this.#become('open');
    this.#cursor.clear();
    // The sink is kept only for `setRules`, which delivers held messages.
    if (this.#rules !== null) this.#sink = null;
  }

  #end(state: 'stopped' | 'dead'): void {
    this.#become(state);
    this.#sink = null;
    this.#partial = NOTHING;
    this.#partialBytes = 0;
    if (state === 'dead') this.#cursor.clear();
  }

  /** Delivers every whole message of `chunk[start ..)`, beginning with the cut one, and keeps the rest. */
  #consume(chunk: Uint8Array, start: number, sink: FrameSink): void {
    const end = chunk.length;
    let at = this.#partialBytes > 0 ? this.#complete(chunk, start, sink) : start;
    if (at >= end) return;
    const view = viewOf(chunk);
    while (at < end && this.#state === 'busy') {
      if (!this.#check(chunk, view, at, end - at)) {
        this.#keep(chunk, at, end);
        return;
      }
      const bytes = this.#headBytes + this.#auxPadded;
      this.#handedOut = true;
      this.#deliver(chunk, view, at, sink);
      at += bytes;
    }
  }

  /**
   * Adds bytes of the chunk to the cut message, and delivers it when it is whole; returns where the next message
   * starts.
   */
  #complete(chunk: Uint8Array, start: number, sink: FrameSink): number {
    const end = chunk.length;
    let at = start;
    while (at < end) {
      // Stage by stage, so that the sizes are checked before anything beyond the core header is stored.
      const bytes = Math.min(this.#needed() - this.#partialBytes, end - at);
      this.#append(chunk, at, at + bytes, this.#partialBytes + end - at);
      at += bytes;
      const whole = this.#partial;
      const view = viewOf(whole);
      if (this.#check(whole, view, 0, this.#partialBytes)) {
        this.#partial = NOTHING;
        this.#partialBytes = 0;
        this.#deliver(whole, view, 0, sink);
        return at;
      }
    }
    return at;
  }

  /** Keeps the beginning of a message that the chunk cuts. */
  #keep(chunk: Uint8Array, start: number, end: number): void {
    this.#append(chunk, start, end, end - start);
  }

  /** Bytes of the current message that the next check needs. */
  #needed(): number {
    if (this.#stage === START) return CORE_HEADER_BYTES;
    return this.#stage === SIZED ? this.#headBytes : this.#headBytes + this.#auxPadded;
  }

  /**
   * Appends bytes to the partial buffer. The buffer grows to at most GROWTH times the bytes that have come (`coming`:
   * how many of the message are known to be here), whatever the header claims, and never beyond the message's size.
   */
  #append(chunk: Uint8Array, start: number, end: number, coming: number): void {
    const bytes = this.#partialBytes + end - start;
    if (bytes > this.#partial.length) {
      const limit = this.#limit();
      this.#partial = grown(this.#partial, this.#partialBytes, Math.min(limit, GROWTH * Math.max(coming, bytes)));
    }
    this.#partial.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#partialBytes);
    this.#partialBytes = bytes;
  }

  #limit(): number {
    if (this.#rules === null) return MAX_HELD_BYTES;
    return this.#stage === START ? CORE_HEADER_BYTES : this.#headBytes + this.#auxPadded;
  }

  /**
   * Runs those checks of the current message that have not been run yet. It starts at `off`, and `bytes` of it are
   * there. True if it is whole.
   */
  #check(buf: Uint8Array, view: DataView, off: number, bytes: number): boolean {
    if (this.#stage === START) {
      if (bytes < CORE_HEADER_BYTES) return false;
      this.#checkSizes(view, off, this.#rules!);
      this.#stage = SIZED;
    }
    if (this.#stage === SIZED) {
      if (bytes < this.#headBytes) return false;
      verifyHeader(buf, view, off, this.#headBytes, this.#swapped, this.#sequence);
      this.#sequence = (this.#sequence + 1) & 0xff;
      if (this.#swapped) swapCoreHeader(buf, off);
      this.#stage = VERIFIED;
    }
    if (bytes < this.#headBytes + this.#auxPadded) return false;
    if (this.#auxPadded > 0 && this.#verifiesAux) {
      verifyAux(buf, off + this.#headBytes, this.#auxPadded, view.getUint32(off + AUX_CRC_AT, true));
    }
    this.#stage = START;
    return true;
  }

  #checkSizes(view: DataView, off: number, rules: DialectRules): void {
    this.#swapped = isSwapped(view, off);
    this.#headBytes = this.#headerSize(view.getUint32(off + CMD_AT, !this.#swapped));
    const auxBytes = view.getUint32(off + AUX_BYTES_AT, !this.#swapped) * rules.auxUnit;
    const auxPadded = padded(auxBytes);
    // protocol.md, "Message": Limits.
    if (auxPadded > rules.auxLimit) {
      throw new DmsgError(ErrorCode.FIELD, 'aux data too large', { auxBytes, limit: rules.auxLimit });
    }
    this.#auxBytes = auxBytes;
    this.#auxPadded = auxPadded;
  }

  /** protocol.md, "Message": an extended header is 64..2048 bytes. */
  #headerSize(cmd: number): number {
    const headBytes = (cmd & SIZE_MASK) * CORE_HEADER_BYTES;
    if (headBytes === 0 || headBytes > this.#maxHeader) {
      throw new DmsgError(ErrorCode.FIELD, 'bad header size', { headBytes, limit: this.#maxHeader });
    }
    return headBytes;
  }

  #deliver(buf: Uint8Array, view: DataView, off: number, sink: FrameSink): void {
    this.#cursor.set(buf, view, !this.#swapped, off, this.#headBytes, this.#auxBytes, this.#auxPadded);
    sink.onFrame(this.#cursor);
  }

  /**
   * Takes bytes while the dialect is unknown. Returns how many of the chunk were taken: all, or as many as it took to
   * decide.
   */
  #hold(chunk: Uint8Array): number {
    const bytes = Math.min(chunk.length, MAX_HELD_BYTES - this.#partialBytes);
    this.#append(chunk, 0, bytes, this.#partialBytes + bytes);
    const found = this.#scan();
    if (found !== null) {
      this.#rules = found;
      this.#release();
    } else if (bytes < chunk.length) {
      throw new DmsgError(ErrorCode.FIELD, 'limit', { held: this.#partialBytes, limit: MAX_HELD_BYTES });
    }
    return bytes;
  }

  /** Looks for a held message that shows the dialect, and checks the messages before it without changing them. */
  #scan(): DialectRules | null {
    const buf = this.#partial;
    const view = viewOf(buf);
    while (!this.#scanBlocked && this.#partialBytes - this.#scanAt >= CORE_HEADER_BYTES) {
      const off = this.#scanAt;
      const swapped = isSwapped(view, off);
      const cmd = view.getUint32(off + CMD_AT, !swapped);
      const headBytes = this.#headerSize(cmd);
      if (this.#partialBytes - off < headBytes) return null;
      verifyHeader(buf, view, off, headBytes, swapped, this.#scanSequence);
      const rules = rulesByCommand(cmd);
      if (rules !== null) return rules;
      this.#scanBlocked = view.getUint32(off + AUX_BYTES_AT, !swapped) !== 0;
      this.#scanSequence = (this.#scanSequence + 1) & 0xff;
      this.#scanAt = off + headBytes;
    }
    return null;
  }

  /** Delivers what was held, now that the dialect is known. */
  #release(): void {
    const held = this.#partial.subarray(0, this.#partialBytes);
    this.#partial = NOTHING;
    this.#partialBytes = 0;
    if (held.length > 0) this.#consume(held, 0, this.#sink!);
  }
}

/** The dialect that a first message of this command shows (protocol.md, introduction), or null. */
function rulesByCommand(cmd: number): DialectRules | null {
  return (cmd & BASE_MASK) === DBG_SHELL ? LINKID : rulesOfLnkConn(cmd);
}

/** protocol.md, "Message": magic. */
function isSwapped(view: DataView, off: number): boolean {
  const magic = view.getUint16(off, true);
  if (magic === MAGIC) return false;
  if (magic === MAGIC_SWAPPED) return true;
  throw new DmsgError(ErrorCode.SYNC, 'bad magic', { magic });
}

/** protocol.md, "Message": hdr_crc over the bytes as sent, stored in the sender's order; salt counts the messages. */
function verifyHeader(
  buf: Uint8Array,
  view: DataView,
  off: number,
  headBytes: number,
  swapped: boolean,
  sequence: number,
): void {
  if (view.getUint32(off + HDR_CRC_AT, !swapped) !== headerCrcIn(view, buf, off, headBytes)) {
    throw new DmsgError(ErrorCode.HCRC, 'bad header CRC', { headBytes });
  }
  const salt = readU8(buf, off + SALT_AT + (swapped ? 3 : 0));
  if (salt !== sequence) throw new DmsgError(ErrorCode.MSGSEQ, 'message out of sequence', { salt, expected: sequence });
}

/** protocol.md, "Message": with aux data aux_crc must be right, over the padding too. */
function verifyAux(buf: Uint8Array, start: number, bytes: number, auxCrc: number): void {
  if (crc32c(buf, start, start + bytes) !== auxCrc) {
    throw new DmsgError(ErrorCode.ACRC, 'bad aux data CRC', { auxBytes: bytes });
  }
}

/**
 * A new buffer of `capacity` bytes that starts with `bytes` of the old one. Never from Buffer's pool: a sink may keep
 * it.
 */
function grown(old: Uint8Array, bytes: number, capacity: number): Uint8Array {
  const buf = Buffer.allocUnsafeSlow(capacity);
  if (bytes > 0) buf.set(old.subarray(0, bytes), 0);
  giveBack(old);
  return buf;
}
