import { type Prefix, parsePrefix } from '@spanmesh/dmsg-socket/address/prefix';

/** A rule of SPANMESH_DIAL_ALLOW: addresses and ports that peers may have this gateway connect to. */
export interface DialRule {
  /** null (`*`): every address but loopback ones (dial/dial-policy.ts, LOCAL). */
  readonly prefix: Prefix | null;
  /** null (`*`): every port. */
  readonly port: number | null;
}

const MAX_PORT = 65535;

/**
 * Reads `10.1.0.0/16:9987`, `[2001:db8::/32]:987`, `192.0.2.1:*`, `*:9987`. Throws an Error whose message says what is
 * wrong.
 */
export function parseDialRule(text: string): DialRule {
  const colon = text.lastIndexOf(':');
  if (colon < 0 || text.endsWith(']')) throw new Error('must be ADDRESS:PORT, PREFIX:PORT or *:PORT');
  const where = text.slice(0, colon);
  return { prefix: where === '*' ? null : parsePrefix(unbracketed(where)), port: parsePort(text.slice(colon + 1)) };
}

function unbracketed(text: string): string {
  if (text.startsWith('[') && text.endsWith(']')) return text.slice(1, -1);
  if (text.includes(':')) throw new Error('IPv6 stands in brackets, as in [2001:db8::/32]:987');
  return text;
}

function parsePort(text: string): number | null {
  if (text === '*') return null;
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > MAX_PORT) throw new Error(`port must be 1..${MAX_PORT}, or *`);
  return port;
}
