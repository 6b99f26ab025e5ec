import { isIPv4, isIPv6 } from 'node:net';

/**
 * An address as bytes, most significant first: 4 (IPv4) or 16 (IPv6). An IPv4-mapped IPv6 address is always given as
 * IPv4.
 */
export type AddressBytes = Uint8Array;

/** Longest text that can be an address, zone included; longer texts are refused unread. */
const MAX_TEXT = 100;

/**
 * The bytes of a numeric address, or null if the text is none. IPv4-mapped IPv6 counts as IPv4 (protocol.md, "Crypto").
 * A zone (`%eth0`) is dropped: a peer's key does not depend on the interface behind which it is.
 */
export function addressBytes(text: string): AddressBytes | null {
  if (text.length > MAX_TEXT) return null;
  const zone = text.indexOf('%');
  const bare = zone < 0 ? text : text.slice(0, zone);
  if (isIPv4(bare)) return zone < 0 ? Uint8Array.from(bare.split('.'), Number) : null;
  if (!isIPv6(bare)) return null;
  return unmapped(ipv6Bytes(bare));
}

/** Turns IPv4-mapped IPv6 into IPv4, and leaves any other address as it is. */
export function unmapped(bytes: AddressBytes): AddressBytes {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return bytes;
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return bytes;
  return bytes.subarray(12);
}

/** The usual text of an address: dotted, or RFC 5952 (lower case, the first longest run of zero groups as `::`). */
export function addressText(bytes: AddressBytes): string {
  if (bytes.length === 4) return bytes.join('.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const groups = Array.from({ length: 8 }, (_, n) => view.getUint16(2 * n));
  let start = -1;
  let length = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
    from = Math.max(from, to - 1);
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** The bytes of an IPv6 address whose text isIPv6 has accepted. */
function ipv6Bytes(text: string): AddressBytes {
  // A dotted tail counts as two groups.
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const groupsOnly =
    dotted === null
      ? text
      : `${dotted[1]}${pairText(Number(dotted[2]), Number(dotted[3]))}:${pairText(Number(dotted[4]), Number(dotted[5]))}`;
  const [head = '', tail] = groupsOnly.split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const bytes = new Uint8Array(16);
  const put = (groups: readonly number[], first: number) => {
    for (const [n, group] of groups.entries()) {
      bytes[2 * (first + n)] = group >>> 8;
      bytes[2 * (first + n) + 1] = group & 0xff;
    }
  };
  put(before, 0);
  put(after, 8 - after.length);
  return bytes;
}

function pairText(high: number, low: number): string {
  return ((high << 8) | low).toString(16);
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
