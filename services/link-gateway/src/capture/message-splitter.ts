import type { DialectRules } from '@spanmesh/dmsg/dialect';
import {
  AUX_BYTES_AT,
  CMD_AT,
  CORE_HEADER_BYTES,
  MAGIC,
  MAGIC_SWAPPED,
  MAX_HEADER_BYTES,
  padded,
} from '@spanmesh/dmsg/header';

/**
 * Takes a piece of `length` bytes: a message, or bytes behind a bad header. `bytes` is the taker's: the first `snaplen`
 * of them.
 */
export type TakePiece = (bytes: Buffer, length: number) => void;

/** The bits of the command word that give the header's size, in units of 64 bytes. */
const SIZE_MASK = 0xff;

/**
 * Cuts one direction of a connection into messages by the sizes in their headers; nothing else is checked. Behind a bad
 * header no message boundary is known any more: further bytes are handed on as they come.
 */
export class MessageSplitter {
  readonly #rules: DialectRules;
  readonly #snaplen: number;
  readonly #take: TakePiece;
  readonly #header: Buffer = Buffer.alloc(CORE_HEADER_BYTES);
  /** The first bytes, `snaplen` at most, of the message that is coming in. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** Bytes of that message that have come. */
  #length = 0;
  /** Size of that message; null: its header is not complete. */
  #total: number | null = null;
  /** A bad header has come: no message boundary is known any more. */
  #isLost = false;

  /** `snaplen`: bytes of a message that are kept, Infinity for all. */
  constructor(options: { readonly rules: DialectRules; readonly snaplen: number }, take: TakePiece) {
    this.#rules = options.rules;
    this.#snaplen = options.snaplen;
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const wanted = this.#isLost ? Number.POSITIVE_INFINITY : (this.#total ?? CORE_HEADER_BYTES) - this.#length;
      const end = Math.min(bytes.length, at + wanted);
      this.#keep(bytes.subarray(at, end));
      at = end;
      if (this.#isLost) this.finish();
      else if (this.#total === null) this.#readHeader();
      else if (this.#length === this.#total) this.finish();
    }
  }

  /** Hands on what has come of a message that is not complete, if anything has. */
  finish(): void {
    if (this.#length === 0) return;
    const [bytes, length] = [Buffer.concat(this.#kept), this.#length];
    this.#kept = [];
    this.#keptBytes = 0;
    this.#length = 0;
    this.#total = null;
    this.#take(bytes, length);
  }

  #keep(bytes: Uint8Array): void {
    if (this.#length < CORE_HEADER_BYTES) {
      this.#header.set(bytes.subarray(0, CORE_HEADER_BYTES - this.#length), this.#length);
    }
    this.#length += bytes.length;
    const room = this.#snaplen - this.#keptBytes;
    if (room <= 0) return;
    // A copy: the next read overwrites this memory, and the memory of a write is used again.
    const kept = Buffer.from(bytes.subarray(0, Math.min(room, bytes.length)));
    this.#kept.push(kept);
    this.#keptBytes += kept.length;
  }

  #readHeader(): void {
    if (this.#length < CORE_HEADER_BYTES) return;
    this.#total = this.#sizeOf();
    this.#isLost = this.#total === null;
    if (this.#isLost || this.#length === this.#total) this.finish();
  }

  /** Size of the message that begins with this header (protocol.md, "Message"); null: magic or sizes are bad. */
  #sizeOf(): number | null {
    const header = this.#header;
    const magic = header.readUInt16LE(0);
    if (magic !== MAGIC && magic !== MAGIC_SWAPPED) return null;
    const isLittle = magic === MAGIC;
    const cmd = isLittle ? header.readUInt32LE(CMD_AT) : header.readUInt32BE(CMD_AT);
    const aux = isLittle ? header.readUInt32LE(AUX_BYTES_AT) : header.readUInt32BE(AUX_BYTES_AT);
    const headBytes = (cmd & SIZE_MASK) * CORE_HEADER_BYTES;
    const auxBytes = aux * this.#rules.auxUnit;
    if (headBytes === 0 || headBytes > MAX_HEADER_BYTES || auxBytes > this.#rules.auxLimit) return null;
    return headBytes + padded(auxBytes);
  }
}
