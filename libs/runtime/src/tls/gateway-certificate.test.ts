import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority } from './certificate-authority.ts';
import { VALID } from './certificates.fixture.ts';
import {
  gatewayCertificateName,
  gatewayOfName,
  gatewaysOfCaller,
  isGatewayPattern,
  mayBeGateway,
} from './gateway-certificate.ts';
import { checkServiceIdentity } from './service-identity.ts';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from './service-names.ts';

const authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });

function certificate(...names: string[]): X509Certificate {
  const { cert } = authority.issue({ subject: 'test', names, roles: ['server', 'client'], ...VALID });
  return new X509Certificate(cert);
}

const gateway = (...patterns: string[]) => certificate(LINK_GATEWAY_NAME, ...patterns.map(gatewayCertificateName));

describe('the certificate of a gateway', () => {
  it.each([
    [['gw-1'], ['gw-1'], ['gw-2', 'gw-11', 'gw', 'g']],
    [
      ['gw-1', 'b'],
      ['gw-1', 'b'],
      ['gw-1.b', 'c'],
    ],
    [['gw-*'], ['gw-1', 'gw-abc-7d9f'], ['gw-', 'gw', 'xgw-1', 'gw-1.b', 'gw-*', 'b']],
    [['*'], ['a', 'gw-1'], ['', 'a.b', '*', 'A', 'a_b']],
  ])('of %j allows it to be %j, and not %j', (patterns, may, mayNot) => {
    const shown = gateway(...patterns);
    expect(may.filter((name) => !mayBeGateway(shown, name))).toEqual([]);
    expect(mayNot.filter((name) => mayBeGateway(shown, name))).toEqual([]);
  });

  it('must name the service link-gateway, and a gateway', () => {
    expect(mayBeGateway(certificate(LINK_GATEWAY_NAME), 'gw')).toBe(false);
    expect(mayBeGateway(certificate(gatewayCertificateName('gw')), 'gw')).toBe(false);
    expect(mayBeGateway(certificate(LINK_GATEWAY_NAME, '*.spanmesh', 'gw.*.spanmesh', '*'), 'gw')).toBe(false);
    expect(mayBeGateway(certificate(TOPOLOGY_NAME, gatewayCertificateName('*')), 'gw')).toBe(false);
  });

  it('is checked by the callers of a gateway', () => {
    const peer = (shown: X509Certificate) => ({ raw: shown.raw }) as Parameters<typeof checkServiceIdentity>[1];
    expect(checkServiceIdentity(gatewayCertificateName('a'), peer(gateway('a')))).toBeUndefined();
    expect(checkServiceIdentity(gatewayCertificateName('a'), peer(gateway('b')))).toMatchObject({
      message:
        'the certificate of the other side is that of link-gateway.spanmesh, b.link-gateway.spanmesh, ' +
        'not of a.link-gateway.spanmesh',
    });
    expect(checkServiceIdentity(LINK_GATEWAY_NAME, peer(gateway('b')))).toBeUndefined();
    // A text that is no valid name can come from a registry that somebody else has written to.
    expect(checkServiceIdentity(gatewayCertificateName('b.x\0'), peer(gateway('*')))).toBeInstanceOf(Error);
  });

  it('decides for which gateways a caller may speak; without TLS for all', () => {
    const call = (shown: X509Certificate | null) => ({
      getAuthContext: () => (shown === null ? {} : { sslPeerCertificate: { raw: shown.raw } }),
    });
    expect(gatewaysOfCaller(call(null))('b')).toBeNull();
    expect(gatewaysOfCaller(call(gateway('a')))('a')).toBeNull();
    expect(gatewaysOfCaller(call(gateway('a')))('b')).toBe(
      'The certificate shown is that of link-gateway.spanmesh, a.link-gateway.spanmesh; ' +
        'the gateway b needs b.link-gateway.spanmesh in it.',
    );
  });
});

describe('names of gateways and patterns', () => {
  it.each(['a', 'gw-1', 'gw-*', '*', 'x'.repeat(63)])('%s is one', (text) => {
    expect(isGatewayPattern(text)).toBe(true);
    expect(gatewayOfName(gatewayCertificateName(text))).toBe(text);
  });

  it.each(['', '-a', 'a-', 'A', 'a.b', 'a*b', '*a', '**', 'a b', 'x'.repeat(64)])('%j is none', (text) => {
    expect(isGatewayPattern(text)).toBe(false);
  });
});
