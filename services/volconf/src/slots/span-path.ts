import { isIPv6 } from 'node:net';

/** Where to connect to. */
export interface SpanAddress {
  /** Name or numeric address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What every path of a target begins with (protocol.md, "The link layer" 3). */
export const SPAN_PREFIX = 'span:';
/** Longest name or address, in characters (RFC 1035). */
const MAX_HOST_LENGTH = 253;
const NAME_OR_IPV4 = /^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?)(?::(\d{1,5}))?$/;
const IPV6_IN_BRACKETS = /^\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$/;

/**
 * `span:host`, `span:host:port`, `span:[v6]:port`, `span:v6` (protocol.md, "The link layer" 3; host:port is ours). null: none of
 * these.
 */
export function parseSpanPath(path: string, defaultPort: number): SpanAddress | null {
  if (!path.startsWith(SPAN_PREFIX)) return null;
  const text = path.slice(SPAN_PREFIX.length);
  if (text.length > MAX_HOST_LENGTH + 8) return null;
  const plain = NAME_OR_IPV4.exec(text);
  if (plain !== null) return addressOf(plain[1]!, plain[3], defaultPort);
  const bracketed = IPV6_IN_BRACKETS.exec(text);
  if (bracketed !== null) return isIPv6(bracketed[1]!) ? addressOf(bracketed[1]!, bracketed[2], defaultPort) : null;
  // Not with a zone: what follows `%` would be the name of an interface of ours.
  return isIPv6(text) && !text.includes('%') ? addressOf(text, undefined, defaultPort) : null;
}

function addressOf(host: string, digits: string | undefined, defaultPort: number): SpanAddress | null {
  const port = digits === undefined ? defaultPort : Number(digits);
  return port >= 1 && port <= 65535 && host.length <= MAX_HOST_LENGTH ? { host, port } : null;
}
