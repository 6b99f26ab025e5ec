import { readFileSync } from 'node:fs';
import { MAX_SEARCH_SUFFIXES } from './limits.ts';

/** Of resolv.conf(5), what says which names are asked for. (Which servers are asked, the resolver itself reads there.) */
export interface ResolverConf {
  readonly search: readonly string[];
  /** With as many dots or more, a name is tried as it is first. */
  readonly ndots: number;
}

/** What is so when the file says nothing. */
const DEFAULTS: ResolverConf = { search: [], ndots: 1 };
/** As resolvers of C libraries do. */
const MAX_NDOTS = 15;

/** Read anew for each look-up: containers and DHCP clients change it. */
export function readResolverConf(path = '/etc/resolv.conf'): ResolverConf {
  try {
    return parseResolverConf(readFileSync(path, 'utf8'));
  } catch {
    return DEFAULTS;
  }
}

export function parseResolverConf(text: string): ResolverConf {
  let { search, ndots } = DEFAULTS;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    // The last one counts.
    if (keyword === 'search' || keyword === 'domain') search = values.slice(0, MAX_SEARCH_SUFFIXES);
    if (keyword !== 'options') continue;
    for (const value of values) {
      const digits = /^ndots:(\d{1,3})$/.exec(value)?.[1];
      if (digits !== undefined) ndots = Math.min(Number(digits), MAX_NDOTS);
    }
  }
  return { search, ndots };
}

/** What name servers are asked for, in order. A dot at the end of a name: that and nothing else. */
export function candidatesOf(name: string, { search, ndots }: ResolverConf): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const suffixed = search.map((suffix) => `${name}.${suffix.replace(/^\.|\.$/g, '')}`);
  return name.split('.').length > ndots ? [name, ...suffixed] : [...suffixed, name];
}
