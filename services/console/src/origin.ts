import type { X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackHost, parseHostPort } from '@spanmesh/runtime/address';

export interface OriginRule {
  readonly scheme: 'http' | 'https';
  /** The port of the scheme's own is left out by browsers. */
  readonly defaultPort: number;
  /** Host names that are allowed by a setting, in lower case. */
  readonly names: ReadonlySet<string>;
  /** The certificate that is shown, if any: the names in it are allowed. */
  readonly certificate: () => X509Certificate | null;
}

/** The host that a request means, if the console may be reached under it; null: not. */
export function allowedHost(rule: OriginRule, host: string | undefined): string | null {
  if (host === undefined) return null;
  const name = hostName(host, rule.defaultPort);
  if (name === null) return null;
  // A page elsewhere can point a name of its own at this address (DNS rebinding), but not an address at itself. Without TLS only the loopback's.
  const isAllowed =
    isLoopbackHost(name) ||
    rule.names.has(name) ||
    (rule.scheme === 'https' && (isIP(name) !== 0 || rule.certificate()?.checkHost(name) !== undefined));
  return isAllowed ? host.toLowerCase() : null;
}

/**
 * Why a request that does or tells something is refused; null: its page is ours. `host`: as allowedHost gave it. A browser names the
 * page's origin on every POST; `Sec-Fetch-Site` says the same of a GET.
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

/** The names of a setting, `a.example.org, b`. */
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
