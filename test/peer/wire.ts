/**
 * A second, independent codec of the DMSG wire protocol (protocol.md, "Message"), for tests only. It shares no code
 * with libs/dmsg, so that an error there cannot hide here. It is plain, not fast.
 */

export type Dialect = 'linkid' | 'circuit';

/** Flags of the command word. In linkid bit 27 means something else and bit 26 does not exist. */
export const CREATE = 0x80000000;
export const DELETE = 0x40000000;
export const REPLY = 0x20000000;
export const ABORT = 0x10000000;
export const REVTRANS = 0x08000000;
export const REVCIRC = 0x04000000;

/** Commands without flags. Their low bits are the size of a header without payload, where they have none. */
export const LNK_PAD = 0x00000001;
export const LNK_PING = 0x00000101;
export const LNK_SPAN = 0x00001207;
export const LNK_VOLCONF = 0x00002008;
export const LNK_ERROR = 0x000fff01;
export const DBG_SHELL = 0x00100101;
export const BLK_OPEN = 0x00500102;
/** Commands that no dialect knows: protocol LNK, and a protocol that does not exist. */
export const UNKNOWN_LNK = 0x00077701;
export const UNKNOWN_PROTOCOL = 0x00900101;

/** LNK_CONN has a different size in each dialect, and so a different command word. */
export const LNK_CONN: Record<Dialect, number> = { linkid: 0x00001108, circuit: 0x00001106 };

export const ERROR = {
  SYNC: 1,
  EOF: 2,
  FIELD: 4,
  HCRC: 5,
  ACRC: 7,
  MSGSEQ: 15,
  TRANS: 17,
  NOSUPP: 0x20,
  LOSTLINK: 0x21,
  PARAM: 0x23,
  CANTCIRC: 0x24,
} as const;

/** Bytes of the core header. */
export const CORE = 64;
/** Largest extended header, and largest aux data, in bytes (protocol.md, "Limits"). */
export const MAX_HEADER = 2048;
export const MAX_AUX: Record<Dialect, number> = { linkid: 65536, circuit: 1 << 20 };

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C of the bytes, unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * The fields of a message to send; fields left out are 0 or empty. The header size in `cmd` is replaced by the real
 * one.
 */
export interface Outgoing {
  cmd: number;
  msgid?: bigint;
  /** Offset 16: linkid's source, circuit's circuit. */
  circuit?: bigint;
  /** Offset 24: linkid's target, circuit's link_verifier. */
  target?: bigint;
  error?: number;
  /** The extended header after the core header; padded to a multiple of 64. */
  body?: Uint8Array;
  /** Aux data, unpadded. */
  aux?: Uint8Array;
  bigEndian?: boolean;
}

/** A received message. */
export interface Message {
  bigEndian: boolean;
  salt: number;
  msgid: bigint;
  circuit: bigint;
  target: bigint;
  cmd: number;
  auxCrc: number;
  /** As on the wire: linkid in units of 64 bytes, circuit in bytes. */
  auxBytes: number;
  error: number;
  auxDescr: bigint;
  body: Buffer;
  /** Padded aux data. */
  aux: Buffer;
  raw: Buffer;
}

/** Bytes up to the next multiple of 64. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** Encodes a message with correct CRCs. `salt`: all 32 bits. */
export function encode(dialect: Dialect, message: Outgoing, salt: number): Buffer {
  const body = message.body ?? Buffer.alloc(0);
  const aux = message.aux ?? Buffer.alloc(0);
  const headerBytes = CORE + padded(body.length);
  const raw = Buffer.alloc(headerBytes + padded(aux.length));
  raw.set(body, CORE);
  raw.set(aux, headerBytes);
  const put = fieldWriter(raw, message.bigEndian ?? false);
  put.u16(0, 0x4832);
  put.u32(4, salt);
  put.u64(8, message.msgid ?? 0n);
  put.u64(16, message.circuit ?? 0n);
  put.u64(24, message.target ?? 0n);
  put.u32(32, ((message.cmd & 0xffffff00) | (headerBytes / 64)) >>> 0);
  if (aux.length > 0) {
    put.u32(36, crc32c(raw.subarray(headerBytes)));
    put.u32(40, dialect === 'linkid' ? padded(aux.length) / 64 : aux.length);
  }
  put.u32(44, message.error ?? 0);
  sealHeader(raw, headerBytes, message.bigEndian ?? false);
  return raw;
}

/** Computes hdr_crc anew, after a test has changed fields. */
export function sealHeader(raw: Buffer, headerBytes: number, bigEndian: boolean): void {
  const put = fieldWriter(raw, bigEndian);
  put.u32(60, 0);
  put.u32(60, crc32c(raw.subarray(0, headerBytes)));
}

interface FieldWriter {
  u16(at: number, value: number): void;
  u32(at: number, value: number): void;
  u64(at: number, value: bigint): void;
}

/** Writes numbers in the sender's byte order. */
export function fieldWriter(raw: Buffer, bigEndian: boolean): FieldWriter {
  return {
    u16: (at, value) => (bigEndian ? raw.writeUInt16BE(value, at) : raw.writeUInt16LE(value, at)),
    u32: (at, value) => (bigEndian ? raw.writeUInt32BE(value >>> 0, at) : raw.writeUInt32LE(value >>> 0, at)),
    u64: (at, value) => (bigEndian ? raw.writeBigUInt64BE(value, at) : raw.writeBigUInt64LE(value, at)),
  };
}

/** An error in received bytes: the message says which rule they break. */
export class WireFault extends Error {}

/** How strict a reader is: recordings of the references break the rules about order and padding. */
export interface ReaderOptions {
  /** Check that the low 8 bits of the salts count up from 0. */
  checkSalt: boolean;
  /**
   * Which messages must have 0 in reserved fields, and in aux_crc without aux data. `own`: those on the link itself,
   * which the sender has made. A message that it passes on has the fields of the peer that made it (protocol.md,
   * "Routing, circuit").
   */
  checkZero: ZeroCheck;
}

export type ZeroCheck = 'all' | 'own' | 'none';

/** Cuts a byte stream into messages and checks each; throws WireFault for the first error. */
export class MessageReader {
  readonly #dialect: Dialect;
  readonly #options: ReaderOptions;
  #pending = Buffer.alloc(0);
  #count = 0;

  constructor(dialect: Dialect, options: ReaderOptions = { checkSalt: true, checkZero: 'all' }) {
    this.#dialect = dialect;
    this.#options = options;
  }

  /** Number of bytes that are not a whole message yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  push(chunk: Uint8Array): Message[] {
    this.#pending = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const message = this.#next();
      if (message === null) return messages;
      messages.push(message);
    }
  }

  #next(): Message | null {
    const bytes = this.#pending;
    if (bytes.length < CORE) return null;
    const magic = bytes.readUInt16LE(0);
    if (magic !== 0x4832 && magic !== 0x3248) throw new WireFault(`magic ${magic.toString(16)}`);
    const bigEndian = magic === 0x3248;
    const u32 = (at: number) => (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
    const u64 = (at: number) => (bigEndian ? bytes.readBigUInt64BE(at) : bytes.readBigUInt64LE(at));
    const cmd = u32(32);
    const headerBytes = (cmd & 0xff) * 64;
    if (headerBytes < CORE || headerBytes > MAX_HEADER) throw new WireFault(`header of ${headerBytes} bytes`);
    const auxBytes = u32(40);
    const auxPadded = this.#dialect === 'linkid' ? auxBytes * 64 : padded(auxBytes);
    if (auxPadded > MAX_AUX[this.#dialect]) throw new WireFault(`aux data of ${auxPadded} bytes`);
    if (bytes.length < headerBytes + auxPadded) return null;
    // Memory of its own: a kept message would otherwise keep 64 KiB of Buffer's pool alive, which tests that measure
    // memory would see.
    const raw = Buffer.allocUnsafeSlow(headerBytes + auxPadded);
    bytes.copy(raw);
    this.#pending = Buffer.from(bytes.subarray(raw.length));
    const message: Message = {
      bigEndian,
      salt: u32(4),
      msgid: u64(8),
      circuit: u64(16),
      target: u64(24),
      cmd,
      auxCrc: u32(36),
      auxBytes,
      error: u32(44),
      auxDescr: u64(48),
      body: raw.subarray(CORE, headerBytes),
      aux: raw.subarray(headerBytes),
      raw,
    };
    this.#check(message, u32(60), bytes.readUInt16LE(2), u32(56));
    return message;
  }

  #check(message: Message, headerCrc: number, reserved2: number, reserved56: number): void {
    const header = Buffer.from(message.raw.subarray(0, CORE + message.body.length));
    header.writeUInt32LE(0, 60);
    if (crc32c(header) !== headerCrc) throw new WireFault('hdr_crc is wrong');
    if (message.aux.length > 0 && crc32c(message.aux) !== message.auxCrc) throw new WireFault('aux_crc is wrong');
    if (this.#options.checkSalt && (message.salt & 0xff) !== (this.#count & 0xff)) {
      throw new WireFault(`salt counts ${message.salt & 0xff}, expected ${this.#count & 0xff}`);
    }
    this.#count++;
    const { checkZero } = this.#options;
    if (checkZero === 'none' || (checkZero === 'own' && (message.circuit !== 0n || this.#hasTarget(message)))) return;
    if (reserved2 !== 0 || reserved56 !== 0) throw new WireFault('a reserved field is not 0');
    if (message.auxDescr !== 0n) throw new WireFault('aux_descr is not 0');
    if (message.aux.length === 0 && message.auxCrc !== 0) throw new WireFault('aux_crc without aux data');
    if (this.#dialect === 'circuit' && message.target !== 0n) throw new WireFault('link_verifier is not 0');
  }

  #hasTarget({ target }: Message): boolean {
    return this.#dialect === 'linkid' && target !== 0n;
  }
}

/** The text in a message's aux data, to its first NUL; null without aux data. */
export function textOf(message: Message): string | null {
  if (message.aux.length === 0) return null;
  const nul = message.aux.indexOf(0);
  return message.aux.toString('latin1', 0, nul < 0 ? message.aux.length : nul);
}

/** A text with its NUL, as aux data. */
export function textAux(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1');
}

/** Whether the message has the flags, protocol and command of `cmd`; the header size is not compared. */
export function isCmd(message: Message, cmd: number): boolean {
  return (message.cmd & 0xffffff00) >>> 0 === (cmd & 0xffffff00) >>> 0;
}

const FLAG_NAMES: [number, string][] = [
  [CREATE, 'CREATE'],
  [DELETE, 'DELETE'],
  [REPLY, 'REPLY'],
  [ABORT, 'ABORT'],
  [REVTRANS, 'REVTRANS'],
  [REVCIRC, 'REVCIRC'],
];
const COMMAND_NAMES: Record<number, string> = {
  0: 'PAD',
  1: 'PING',
  17: 'CONN',
  18: 'SPAN',
  32: 'VOLCONF',
  4095: 'ERROR',
  4097: 'SHELL',
  20481: 'BLK_OPEN',
};

/** One line about a message, for the text of a failure. */
export function describeMessage(message: Pick<Message, 'cmd' | 'msgid' | 'error' | 'circuit'>): string {
  const command = (message.cmd >>> 8) & 0xffff;
  const name = COMMAND_NAMES[command] ?? command.toString(16);
  const flags = FLAG_NAMES.filter(([bit]) => (message.cmd & bit) !== 0).map(([, flag]) => flag);
  return [
    [name, ...flags].join('|'),
    message.msgid === 0n ? '' : `msgid ${message.msgid.toString(16)}`,
    message.circuit === 0n ? '' : `circuit ${message.circuit.toString(16)}`,
    message.error === 0 ? '' : `error ${message.error}`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}
