import { isIPv6 } from 'node:net';

/** An address to connect to. */
export interface PeerTarget {
  /** Name or numeric address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** protocol.md, introduction: TCP port 987 unless given. */
export const DMSG_PORT = 987;
const MAX_PORT = 65535;
/** Longest host, in characters (RFC 1035). */
const MAX_HOST_LENGTH = 253;
const NAME_OR_IPV4 = /^(?<host>[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?)(?::(?<port>\d{1,5}))?$/;
const IPV6_IN_BRACKETS = /^\[(?<host>[0-9A-Fa-f:.]+)\](?::(?<port>\d{1,5}))?$/;

/**
 * Parses a target as a shell command or a volume's slot names it: `host`, `host:port`, an IPv6 address, or
 * `[address]:port`. null: it is none of these.
 * @param defaultPort where the text names no port
 */
export function parsePeerTarget(text: string, defaultPort: number = DMSG_PORT): PeerTarget | null {
  if (text.length > MAX_HOST_LENGTH + 8) return null;
  const plain = NAME_OR_IPV4.exec(text)?.groups;
  if (plain !== undefined) return targetOf(plain.host, plain.port, defaultPort);
  const bracketed = IPV6_IN_BRACKETS.exec(text)?.groups;
  const address = bracketed === undefined ? text : bracketed.host;
  // A zone is refused: the text after `%` would name a network interface of this host.
  if (address === undefined || address.includes('%') || !isIPv6(address)) return null;
  return targetOf(address, bracketed?.port, defaultPort);
}

function targetOf(host: string | undefined, digits: string | undefined, defaultPort: number): PeerTarget | null {
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || host.length > MAX_HOST_LENGTH) return null;
  return port >= 1 && port <= MAX_PORT ? { host, port } : null;
}
