import { readFileSync } from 'node:fs';
import { MAX_SEARCH_SUFFIXES } from './limits.ts';

/**
 * The part of resolv.conf(5) that says which names are asked for. (Node reads there itself which servers are asked.)
 */
export interface ResolverConf {
  readonly search: readonly string[];
  /** A name with at least this number of dots is tried as it is before any suffix is added. */
  readonly ndots: number;
}

/** Used when the file says nothing. */
const DEFAULTS: ResolverConf = { search: [], ndots: 1 };
/** Largest `ndots` that is heeded, as by resolvers of C libraries. */
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
    // The last line of either kind counts.
    if (keyword === 'search' || keyword === 'domain') search = values.slice(0, MAX_SEARCH_SUFFIXES);
    if (keyword !== 'options') continue;
    for (const value of values) {
      const digits = /^ndots:(\d{1,3})$/.exec(value)?.[1];
      if (digits !== undefined) ndots = Math.min(Number(digits), MAX_NDOTS);
    }
  }
  return { search, ndots };
}

/** The names to ask for, in order. A name with a dot at its end is asked for alone. */
export function candidatesOf(name: string, { search, ndots }: ResolverConf): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const suffixed = search.map((suffix) => `${name}.${suffix.replace(/^\.|\.$/g, '')}`);
  return name.split('.').length > ndots ? [name, ...suffixed] : [...suffixed, name];
}
