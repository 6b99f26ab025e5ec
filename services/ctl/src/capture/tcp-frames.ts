import { isIP } from 'node:net';
import type { HostPort } from '@spanmesh/runtime/address';

/** Most bytes of a segment: with its headers it must fit into an IP packet, whose size is a field of 16 bits. */
export const MAX_SEGMENT_BYTES = 32 * 1024;
const TCP_HEADER_BYTES = 20;
const TCP = 6;
const PUSH_ACK = 0x18;

/** A packet, or the beginning of one. */
export interface TcpFrame {
  readonly data: Buffer;
  /** Size of the whole packet, bytes. */
  readonly length: number;
}

/** One end of a connection. */
interface End {
  readonly address: Buffer;
  readonly port: number;
  /** Sequence number of the next byte that this end sends. */
  at: number;
}

/**
 * TCP/IP packets around the bytes of a connection that was captured above TCP: as they would look on a wire without
 * losses. Both directions begin with the sequence number 1; checksums are right where the packet is whole.
 */
export class TcpFrames {
  readonly #local: End;
  readonly #remote: End;

  /** The addresses must be numeric. */
  constructor(local: HostPort, remote: HostPort) {
    // Through a balancer a peer may have an address of the other family: then both are written as IPv6.
    const isV4 = isIP(local.host) === 4 && isIP(remote.host) === 4;
    const end = ({ host, port }: HostPort): End => ({ address: addressBytes(host, isV4), port, at: 1 });
    this.#local = end(local);
    this.#remote = end(remote);
  }

  /** The addresses as in packets: 4 or 16 bytes each. */
  get addresses(): { readonly local: Uint8Array; readonly remote: Uint8Array } {
    return { local: this.#local.address, remote: this.#remote.address };
  }

  /**
   * The packets of one message, of which `data` is the beginning and `length` the size. `missed`: number of bytes
   * before the message, in the same direction, that were not captured.
   */
  frames(sent: boolean, data: Uint8Array, { length, missed }: { length: number; missed: number }): TcpFrame[] {
    const [from, to] = sent ? [this.#local, this.#remote] : [this.#remote, this.#local];
    from.at = (from.at + missed) % 2 ** 32;
    const frames: TcpFrame[] = [];
    for (let at = 0; at < length; at += MAX_SEGMENT_BYTES) {
      const bytes = Math.min(MAX_SEGMENT_BYTES, length - at);
      const headers = headersOf(from, to, bytes);
      const packet = Buffer.concat([headers, data.subarray(at, at + bytes)]);
      if (packet.length === headers.length + bytes) sum(packet, from.address.length);
      frames.push({ data: packet, length: headers.length + bytes });
      from.at = (from.at + bytes) % 2 ** 32;
    }
    return frames;
  }
}

function headersOf(from: End, to: End, bytes: number): Buffer {
  const tcp = Buffer.alloc(TCP_HEADER_BYTES);
  tcp.writeUInt16BE(from.port, 0);
  tcp.writeUInt16BE(to.port, 2);
  tcp.writeUInt32BE(from.at, 4);
  tcp.writeUInt32BE(to.at, 8);
  tcp.writeUInt8((TCP_HEADER_BYTES / 4) << 4, 12);
  tcp.writeUInt8(PUSH_ACK, 13);
  tcp.writeUInt16BE(0xffff, 14);
  const ip = from.address.length === 4 ? ipv4(from, to, bytes) : ipv6(from, to, bytes);
  return Buffer.concat([ip, tcp]);
}

function ipv4(from: End, to: End, bytes: number): Buffer {
  const ip = Buffer.alloc(20);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(ip.length + TCP_HEADER_BYTES + bytes, 2);
  // Not to be fragmented.
  ip.writeUInt16BE(0x4000, 6);
  ip.writeUInt8(64, 8);
  ip.writeUInt8(TCP, 9);
  from.address.copy(ip, 12);
  to.address.copy(ip, 16);
  ip.writeUInt16BE(checksum([ip]), 10);
  return ip;
}

function ipv6(from: End, to: End, bytes: number): Buffer {
  const ip = Buffer.alloc(40);
  ip.writeUInt8(0x60, 0);
  ip.writeUInt16BE(TCP_HEADER_BYTES + bytes, 4);
  ip.writeUInt8(TCP, 6);
  ip.writeUInt8(64, 7);
  from.address.copy(ip, 8);
  to.address.copy(ip, 24);
  return ip;
}

/** Writes TCP's checksum into a whole packet. */
function sum(packet: Buffer, addressBytes: number): void {
  const addressesAt = addressBytes === 4 ? 12 : 8;
  const tcpAt = addressesAt + 2 * addressBytes;
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(TCP, 0);
  pseudo.writeUInt16BE(packet.length - tcpAt, 2);
  packet.writeUInt16BE(checksum([packet.subarray(addressesAt, tcpAt), pseudo, packet.subarray(tcpAt)]), tcpAt + 16);
}

/** RFC 1071. Each part but the last has an even number of bytes. */
function checksum(parts: readonly Buffer[]): number {
  let total = 0;
  for (const part of parts) {
    for (let at = 0; at + 1 < part.length; at += 2) total += part.readUInt16BE(at);
    if (part.length % 2 === 1) total += part.readUInt8(part.length - 1) << 8;
  }
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

/** `isV4`: 4 bytes, otherwise 16, of version 4 as `::ffff:a.b.c.d`. */
function addressBytes(host: string, isV4: boolean): Buffer {
  const plain = host.replace(/%.*$/, '');
  if (isIP(plain) === 4) {
    const v4 = Buffer.from(plain.split('.').map(Number));
    return isV4 ? v4 : Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), v4]);
  }
  return v6Bytes(plain);
}

function v6Bytes(host: string): Buffer {
  // A dotted end is two groups.
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  const hex = (high: string, low: string): string => ((Number(high) << 8) | Number(low)).toString(16);
  const [, a = '', b = '', c = '', d = ''] = dotted ?? [];
  const text = dotted === null ? host : `${host.slice(0, dotted.index)}${hex(a, b)}:${hex(c, d)}`;
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array<string>(tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)).fill('0');
  const bytes = Buffer.alloc(16);
  [...before, ...zeros, ...after].slice(0, 8).forEach((group, i) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16) || 0, 2 * i);
  });
  return bytes;
}
