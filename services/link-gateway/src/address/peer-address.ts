import { addressBytes, addressText } from '@spanmesh/dmsg-socket/address/numeric-address';

/**
 * A numeric address as keys, limits and logs name a peer: IPv4-mapped IPv6 is written as IPv4 (protocol.md, "Crypto").
 */
export function peerAddress(address: string): string {
  // Plain IPv4, the usual case: needs no regular expression.
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

/** True for 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  const bytes = addressBytes(address);
  return bytes !== null && (bytes.length === 4 ? bytes[0] === 127 : addressText(bytes) === '::1');
}
