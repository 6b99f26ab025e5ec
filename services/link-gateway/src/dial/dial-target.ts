import { isIPv6 } from 'node:net';

/** Where to connect to. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** protocol.md, introduction: TCP port 987 unless given. */
export const DMSG_PORT = 987;
/** Longest name or address, in characters (RFC 1035). */
const MAX_HOST_LENGTH = 253;
const NAME_OR_IPV4 = /^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?)(?::(\d{1,5}))?$/;
const IPV6_IN_BRACKETS = /^\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$/;

/**
 * What a shell or a volume configuration names: `host`, `host:port`, an IPv6 address, `[address]:port`. null: none of these.
 */
export function parseTarget(text: string): Target | null {
  if (text.length > MAX_HOST_LENGTH + 8) return null;
  const plain = NAME_OR_IPV4.exec(text);
  if (plain !== null) return targetOf(plain[1]!, plain[3]);
  const bracketed = IPV6_IN_BRACKETS.exec(text);
  if (bracketed !== null) return isIPv6(bracketed[1]!) ? targetOf(bracketed[1]!, bracketed[2]) : null;
  // Not with a zone: `%` and what follows would be a name of an interface of ours.
  return isIPv6(text) && !text.includes('%') ? targetOf(text, undefined) : null;
}

function targetOf(host: string, digits: string | undefined): Target | null {
  const port = digits === undefined ? DMSG_PORT : Number(digits);
  return port >= 1 && port <= 65535 && host.length <= MAX_HOST_LENGTH ? { host, port } : null;
}
