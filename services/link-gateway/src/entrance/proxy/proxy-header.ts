import { crc32c } from '@spanmesh/dmsg/crc';
import { addressText, unmapped } from '@spanmesh/dmsg-socket/address/numeric-address';
import { LinkGatewayError } from '../../gateway-error.ts';
import { MAX_PROXY_HEADER_BYTES } from './limits.ts';

// The PROXY protocol, version 2, section 2.2 of its specification (haproxy, doc/proxy-protocol.txt). Numbers are
// big-endian.

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family and transport, length of what follows. */
const FIXED_BYTES = 16;
const VERSION_2_LOCAL = 0x20;
const VERSION_2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
const TLV_HEAD_BYTES = 3;
const TLV_CRC32C = 0x03;

/** A whole header. */
export interface ProxyHeader {
  /** Its length; the peer's own bytes follow. */
  readonly bytes: number;
  /** The peer's address and port; null: the connection is of the proxy itself, e.g. a health check. */
  readonly source: { readonly host: string; readonly port: number } | null;
}

/**
 * Reads a header at the start of a stream; null: more bytes are needed. Every check is made as soon as its bytes are
 * there.
 * @throws LinkGatewayError proxy
 */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader | null {
  const known = Math.min(bytes.length, SIGNATURE.length);
  for (let at = 0; at < known; at++)
    if (bytes[at] !== SIGNATURE[at]) throw new LinkGatewayError('proxy', { why: 'signature' });
  if (bytes.length > 12 && bytes[12] !== VERSION_2_LOCAL && bytes[12] !== VERSION_2_PROXY)
    throw new LinkGatewayError('proxy', { why: 'version' });
  if (bytes.length < FIXED_BYTES) return null;
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const total = FIXED_BYTES + fields.getUint16(14);
  if (total > MAX_PROXY_HEADER_BYTES) throw new LinkGatewayError('proxy', { why: 'length' });
  const isLocal = bytes[12] === VERSION_2_LOCAL;
  const addressBytes = addressSize(fields.getUint8(13), isLocal);
  // A proxy that connects for a peer must give the peer's address.
  if (!isLocal && total < FIXED_BYTES + 2 * addressBytes + 4) throw new LinkGatewayError('proxy', { why: 'length' });
  if (bytes.length < total) return null;
  // LOCAL: a connection of the proxy itself, of which the receiver must skip all addresses.
  if (isLocal) return { bytes: total, source: null };
  checkExtras(bytes.subarray(0, total), FIXED_BYTES + 2 * addressBytes + 4);
  const portAt = FIXED_BYTES + 2 * addressBytes;
  const address = unmapped(bytes.slice(FIXED_BYTES, FIXED_BYTES + addressBytes));
  return { bytes: total, source: { host: addressText(address), port: fields.getUint16(portAt) } };
}

/** Bytes of each address in a header of this family. @throws LinkGatewayError proxy */
function addressSize(family: number, isLocal: boolean): 4 | 16 {
  if (family === TCP_OVER_IPV6) return 16;
  // LOCAL: the family is to be ignored.
  if (family === TCP_OVER_IPV4 || isLocal) return 4;
  throw new LinkGatewayError('proxy', { why: 'family' });
}

/**
 * Checks the extras behind the addresses (type, length, value): they must fill the header, and a checksum must be
 * right.
 */
function checkExtras(header: Uint8Array, start: number): void {
  const fields = new DataView(header.buffer, header.byteOffset, header.length);
  let at = start;
  while (at < header.length) {
    if (header.length - at < TLV_HEAD_BYTES) throw new LinkGatewayError('proxy', { why: 'length' });
    const length = fields.getUint16(at + 1);
    const value = at + TLV_HEAD_BYTES;
    if (header.length - value < length) throw new LinkGatewayError('proxy', { why: 'length' });
    if (header[at] === TLV_CRC32C) checkChecksum(header, value, length);
    at = value + length;
  }
}

/** The checksum is that of the whole header with the checksum itself as 0. */
function checkChecksum(header: Uint8Array, value: number, length: number): void {
  if (length !== 4) throw new LinkGatewayError('proxy', { why: 'length' });
  const copy = Buffer.from(header);
  const said = copy.readUInt32BE(value);
  copy.fill(0, value, value + 4);
  if (crc32c(copy, 0, copy.length) !== said) throw new LinkGatewayError('proxy', { why: 'checksum' });
}
