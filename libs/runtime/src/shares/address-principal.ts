import { isIPv6 } from 'node:net';

/**
 * The principal of an address, by which shares are counted: the numeric address itself, or for IPv6 its first 64 bits,
 * because a host can use all addresses below them. Every gateway has the same text for the same principal.
 */
export function addressPrincipal(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.replace(/%.*/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    // An IPv4 address at the end takes the place of two groups.
    const size = after.length + (after.at(-1)?.includes('.') === true ? 1 : 0);
    groups.push(...Array<string>(Math.max(0, 8 - groups.length - size)).fill('0'), ...after);
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::`;
}
