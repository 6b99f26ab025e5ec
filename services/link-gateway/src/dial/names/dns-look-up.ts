import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { LinkGatewayError } from '../../gateway-error.ts';
import { NAME_SERVER_MS, OTHER_FAMILY_MS } from './limits.ts';
import type { Found, LookUp } from './look-ups.ts';
import { candidatesOf, type ResolverConf } from './resolver-conf.ts';

/** Codes of errors after which the next name of the search list is tried. */
const ABSENT = new Set(['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'EBADNAME']);

export interface DnsLookUpOptions {
  readonly conf: () => ResolverConf;
  /** Name servers, `address` or `address:port`; default: those of this host. */
  readonly servers?: readonly string[];
}

/**
 * Looks names up with the name servers of this host and the search list of resolv.conf, but not with getaddrinfo: a
 * call of it would hold one of the four threads that this process has for files and look-ups for as long as a name
 * server is silent, and could not be ended. Other sources of nsswitch.conf (mDNS, LDAP) are not asked.
 */
export function dnsLookUp({ conf, servers }: DnsLookUpOptions): LookUp {
  return async (name, signal) => {
    let absent: unknown;
    for (const candidate of candidatesOf(name, conf())) {
      try {
        return await ask(candidate, signal, servers);
      } catch (error) {
        if (!ABSENT.has(codeOf(error)))
          throw codeOf(error) === 'ETIMEOUT' ? new LinkGatewayError('look-up', { why: 'timeout' }) : error;
        absent = error;
      }
      signal.throwIfAborted();
    }
    throw absent;
  };
}

/** An address as a name server gives it. */
interface Answer {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** Asks for one name, both address families at once. */
async function ask(name: string, signal: AbortSignal, servers: readonly string[] | undefined): Promise<Found> {
  // A resolver for each name: the queries of one can only be ended all together.
  const resolver = new Resolver({ timeout: NAME_SERVER_MS, tries: 2 });
  if (servers !== undefined) resolver.setServers([...servers]);
  const end = () => resolver.cancel();
  signal.addEventListener('abort', end, { once: true });
  try {
    const [v4, v6] = await bothFamilies(resolver.resolve4(name, { ttl: true }), resolver.resolve6(name, { ttl: true }));
    const answers = (hasGlobalIPv6() ? [...v6, ...v4] : [...v4, ...v6]).filter(({ address }) => isIP(address) !== 0);
    return {
      addresses: answers.map(({ address }) => address),
      ttlMs: 1000 * Math.min(...answers.map(({ ttl }) => ttl)),
    };
  } finally {
    signal.removeEventListener('abort', end);
    resolver.cancel();
  }
}

/** The answers of both families, not both empty. Rejects with the error for IPv4 when both fail. */
async function bothFamilies(v4: Promise<Answer[]>, v6: Promise<Answer[]>): Promise<[Answer[], Answer[]]> {
  const late = Promise.withResolvers<Answer[]>();
  // Some name servers never answer a question for AAAA, so the slower family is waited for OTHER_FAMILY_MS at most.
  const start = () => setTimeout(() => late.resolve([]), OTHER_FAMILY_MS);
  let timer: NodeJS.Timeout | undefined;
  const begin = (answers: Answer[]) => {
    timer ??= start();
    return answers;
  };
  const none = () => [];
  try {
    const first = await Promise.any([v4.then(begin), v6.then(begin)]).catch(() => null);
    // Rejects with the error itself: it tells a silent name server from a name that is not there.
    if (first === null) return [await v4, await v6];
    return [await Promise.race([v4.catch(none), late.promise]), await Promise.race([v6.catch(none), late.promise])];
  } finally {
    clearTimeout(timer);
  }
}

/** A host that has no IPv6 to the outside tries IPv4 first (RFC 6724). */
function hasGlobalIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family, internal, address }) => family === 'IPv6' && !internal && !/^fe[89ab]/i.test(address)),
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error ? String((error as NodeJS.ErrnoException).code) : '';
}
