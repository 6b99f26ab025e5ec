import { addressBytes, addressText } from '@spanmesh/dmsg-socket/address/numeric-address';

/** The numeric address as peers are known by: an IPv4-mapped IPv6 address as IPv4 (protocol.md, "Crypto"). */
export function peerAddress(address: string): string {
  // The usual case, for nothing.
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

/** True for 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  const bytes = addressBytes(address);
  return bytes !== null && (bytes.length === 4 ? bytes[0] === 127 : addressText(bytes) === '::1');
}
