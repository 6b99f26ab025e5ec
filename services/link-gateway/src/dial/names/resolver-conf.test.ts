import { describe, expect, it } from 'vitest';
import { candidatesOf, parseResolverConf, readResolverConf } from './resolver-conf.ts';

const CLUSTER =
  'nameserver 10.96.0.10\n; a comment\nsearch ns.svc.cluster.local svc.cluster.local cluster.local.\noptions edns0 ndots:5\n';

describe('resolv.conf', () => {
  it('says which names are asked for', () => {
    const conf = parseResolverConf(CLUSTER);
    expect(conf).toEqual({ search: ['ns.svc.cluster.local', 'svc.cluster.local', 'cluster.local.'], ndots: 5 });
    expect(candidatesOf('vol.ns', conf)).toEqual([
      'vol.ns.ns.svc.cluster.local',
      'vol.ns.svc.cluster.local',
      'vol.ns.cluster.local',
      'vol.ns',
    ]);
    expect(candidatesOf('vol.ns.', conf)).toEqual(['vol.ns']);
  });

  it('that is missing means the name as it is; a domain is one suffix', () => {
    const conf = readResolverConf('/nonexistent/resolv.conf');
    expect(candidatesOf('a', conf)).toEqual(['a']);
    expect(candidatesOf('a.example', parseResolverConf('domain lab.example'))).toEqual([
      'a.example',
      'a.example.lab.example',
    ]);
    expect(candidatesOf('a', parseResolverConf('domain lab.example'))).toEqual(['a.lab.example', 'a']);
  });

  // Limits: names/limits.ts MAX_SEARCH_SUFFIXES, names/resolver-conf.ts MAX_NDOTS
  it('counts up to 6 suffixes and 15 ndots', () => {
    expect(parseResolverConf('search a b c d e f\noptions ndots:15')).toEqual({ search: [...'abcdef'], ndots: 15 });
    expect(parseResolverConf('search a b c d e f g\noptions ndots:16')).toEqual({ search: [...'abcdef'], ndots: 15 });
    const conf = parseResolverConf(`search ${'x '.repeat(500)}\noptions ndots:999`);
    expect([conf.search.length, conf.ndots]).toEqual([6, 15]);
  });
});
