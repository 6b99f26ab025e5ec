/** LINKTYPE_RAW: packets begin with their IP header, of version 4 or 6. */
const LINKTYPE_RAW = 101;

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const NAME_RESOLUTION = 4;
const ENHANCED_PACKET = 6;
/** A reader of the other byte order sees these bytes swapped. */
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPT_END = 0;
const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const EPB_FLAGS = 2;
/** Largest option: its size is 16 bits. */
export const MAX_OPTION_BYTES = 65_532;

const RECORD_IPV4 = 1;
const RECORD_IPV6 = 2;

/** A packet of a capture file. */
export interface Packet {
  /** Microseconds since 1970. */
  readonly timeUs: number;
  /** The packet, or its beginning. */
  readonly data: Uint8Array;
  /** Size of the whole packet, bytes. */
  readonly length: number;
  /** Sent by the capturing side, otherwise received. */
  readonly outbound: boolean;
  readonly comment: string;
}

// The blocks of a pcapng file (draft-ietf-opsawg-pcapng): little-endian, one section with one interface of raw IP
// packets. Times are in microseconds, the format's default.

/** The block that begins a file. `application`: the program that writes it. */
export function sectionHeader({ application, comment }: { application: string; comment: string }): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  head.writeUInt16LE(1, 4);
  // All bits set: the size of the section is not known.
  head.fill(0xff, 8);
  return block(SECTION_HEADER, [
    head,
    ...options([
      [OPT_COMMENT, comment],
      [SHB_USERAPPL, application],
    ]),
  ]);
}

/** The interface that packets were captured on. */
export function interfaceDescription({ name, description }: { name: string; description: string }): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(LINKTYPE_RAW, 0);
  return block(INTERFACE_DESCRIPTION, [
    head,
    ...options([
      [IF_NAME, name],
      [IF_DESCRIPTION, description],
    ]),
  ]);
}

/** Names of addresses; an address is 4 or 16 bytes. */
export function nameResolution(names: readonly (readonly [address: Uint8Array, name: string])[]): Buffer {
  const records = names.flatMap(([address, name]) => {
    const value = Buffer.concat([address, Buffer.from(`${name}\0`)]);
    return entry(address.length === 4 ? RECORD_IPV4 : RECORD_IPV6, value);
  });
  return block(NAME_RESOLUTION, [...records, Buffer.alloc(4)]);
}

export function enhancedPacket({ timeUs, data, length, outbound, comment }: Packet): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(Math.floor(timeUs / 2 ** 32), 4);
  head.writeUInt32LE(timeUs % 2 ** 32, 8);
  head.writeUInt32LE(data.length, 12);
  head.writeUInt32LE(length, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(outbound ? 2 : 1);
  return block(ENHANCED_PACKET, [
    head,
    data,
    padding(data.length),
    ...options([
      [OPT_COMMENT, comment],
      [EPB_FLAGS, flags],
    ]),
  ]);
}

function block(type: number, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length + 12;
  const whole = Buffer.alloc(size);
  whole.writeUInt32LE(type, 0);
  whole.writeUInt32LE(size, 4);
  body.copy(whole, 8);
  whole.writeUInt32LE(size, size - 4);
  return whole;
}

/** The options that are not empty, and the end of options. */
function options(list: readonly (readonly [code: number, value: string | Buffer])[]): Uint8Array[] {
  const given = list.filter(([, value]) => value.length > 0);
  if (given.length === 0) return [];
  const parts = given.flatMap(([code, value]) => entry(code, Buffer.from(value).subarray(0, MAX_OPTION_BYTES)));
  return [...parts, ...entry(OPT_END, Buffer.alloc(0))];
}

/** An option or a record: type, size, value, padding. */
function entry(type: number, value: Uint8Array): Uint8Array[] {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(type, 0);
  head.writeUInt16LE(value.length, 2);
  return [head, value, padding(value.length)];
}

function padding(bytes: number): Buffer {
  return Buffer.alloc(-bytes & 3);
}
