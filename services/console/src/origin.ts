import type { X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackHost, parseHostPort } from '@spanmesh/runtime/address';

export interface OriginRule {
  readonly scheme: 'http' | 'https';
  /** The scheme's own port, which browsers leave out. */
  readonly defaultPort: number;
  /** Host names that a setting allows, in lower case. */
  readonly names: ReadonlySet<string>;
  /** The console's certificate, if there is one: its names are allowed. */
  readonly certificate: () => X509Certificate | null;
}

/** The host in a request's Host header, if the console may be reached under it; null: it may not. */
export function allowedHost(rule: OriginRule, host: string | undefined): string | null {
  if (host === undefined) return null;
  const name = hostName(host, rule.defaultPort);
  if (name === null) return null;
  // A page elsewhere can make its own name resolve to this address (DNS rebinding), but cannot do so with an address.
  // Without TLS only loopback addresses are allowed.
  const isAllowed =
    isLoopbackHost(name) ||
    rule.names.has(name) ||
    (rule.scheme === 'https' && (isIP(name) !== 0 || rule.certificate()?.checkHost(name) !== undefined));
  return isAllowed ? host.toLowerCase() : null;
}

/**
 * Why a request that changes or reveals something is refused; null: it comes from our own page. `host`: the result of
 * allowedHost. A browser sends the page's origin with every POST; for a GET, `Sec-Fetch-Site` says it.
 */
export function foreignOrigin(
  rule: OriginRule,
  host: string,
  method: string,
  headers: IncomingHttpHeaders,
): string | null {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'The request comes from another site.';
  if (origin === undefined) return method === 'GET' ? null : 'The request names no origin.';
  return origin.toLowerCase() === `${rule.scheme}://${host}` ? null : 'The request comes from another origin.';
}

/** The names in a setting, `a.example.org, b`. */
export function namesOf(text: string): ReadonlySet<string> {
  return new Set(
    text
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== ''),
  );
}

function hostName(host: string, defaultPort: number): string | null {
  const isBare = /^(\[[^\]]*\]|[^:]*)$/.test(host);
  try {
    return parseHostPort(isBare ? `${host}:${defaultPort}` : host).host.toLowerCase();
  } catch {
    return null;
  }
}
