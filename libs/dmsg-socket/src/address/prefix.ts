import { type AddressBytes, addressBytes, addressText } from './numeric-address.ts';

/** All addresses that begin with the same bits. */
export interface Prefix {
  /** The bits after the first `bits` are 0. */
  readonly address: AddressBytes;
  /** Number of leading bits: 0 to 32 (IPv4) or 128 (IPv6). */
  readonly bits: number;
}

/**
 * Reads `10.1.0.0/16`, `2001:db8::/32`, or a single address, as a prefix of all its bits. Throws an Error whose message
 * says what is wrong.
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf('/');
  const address = addressBytes(slash < 0 ? text : text.slice(0, slash));
  if (address === null) throw new Error('must be an address or a prefix such as 10.1.0.0/16');
  const prefix = slash < 0 ? wholeAddress(address) : prefixOf(address, text.slice(slash + 1));
  if (prefix === null)
    throw new Error(`the length of a prefix must be 0..${8 * address.length}, and no bit behind it set`);
  return prefix;
}

/** The prefix that contains one address. */
export function wholeAddress(address: AddressBytes): Prefix {
  return { address, bits: 8 * address.length };
}

/**
 * The prefix, from an address and the text of its length. null: `bits` is not a length, or bits behind it are set
 * (probably a mistake).
 */
export function prefixOf(address: AddressBytes, bits: string): Prefix | null {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bits)) return null;
  const prefix = { address, bits: Number(bits) };
  if (prefix.bits > 8 * address.length) return null;
  return Buffer.compare(masked(address, prefix.bits), address) === 0 ? prefix : null;
}

/** The address with all bits after the first `bits` cleared. */
export function masked(address: AddressBytes, bits: number): AddressBytes {
  return address.map((byte, at) => {
    const kept = Math.min(8, Math.max(0, bits - 8 * at));
    return byte & (0xff00 >>> kept);
  });
}

/** Whether the address is in the prefix. IPv4 is never in a prefix of IPv6. */
export function contains(prefix: Prefix, address: AddressBytes): boolean {
  if (address.length !== prefix.address.length) return false;
  return Buffer.compare(masked(address, prefix.bits), prefix.address) === 0;
}

/** `10.1.0.0/16`, or only the address if the prefix has all its bits. */
export function prefixText({ address, bits }: Prefix): string {
  return bits === 8 * address.length ? addressText(address) : `${addressText(address)}/${bits}`;
}
