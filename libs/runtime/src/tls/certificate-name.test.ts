import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { CertificateAuthority } from './certificate-authority.ts';
import { carriesName, certificateOf, namesOf } from './certificate-name.ts';
import { VALID } from './certificates.fixture.ts';
import { gatewayCertificateName } from './gateway-certificate.ts';
import { checkServiceIdentity } from './service-identity.ts';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from './service-names.ts';

const authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });
const of = (names: string[], subject = 'a subject') =>
  new X509Certificate(authority.issue({ subject, names, roles: ['server', 'client'], ...VALID }).cert);

it('a certificate carries the very names in it: no wildcard, no subject, no part of a name', () => {
  const certificate = of(['a.example', '*.b.example', '192.0.2.1'], 'subject.example');
  for (const name of ['a.example', 'A.example', '*.b.example']) expect(carriesName(certificate, name)).toBe(true);
  for (const name of ['x.a.example', 'c.b.example', 'subject.example', 'example', '192.0.2.1']) {
    expect([name, carriesName(certificate, name)]).toEqual([name, false]);
  }
  expect(carriesName(of([], TOPOLOGY_NAME), TOPOLOGY_NAME)).toBe(false);
});

it('the names of a certificate are its DNS names, in their order', () => {
  expect(namesOf(of(['a.example', '192.0.2.1', 'b.example']))).toEqual(['a.example', 'b.example']);
  expect(namesOf(of([]))).toEqual([]);
});

it('the certificate of a call is the one that was shown, if any was', () => {
  const certificate = of(['a.example']);
  const { raw } = certificate;
  expect(certificateOf({ getAuthContext: () => ({ sslPeerCertificate: { raw } }) })?.fingerprint).toBe(
    certificate.fingerprint,
  );
  expect(certificateOf({ getAuthContext: () => ({}) })).toBeNull();
});

it('the other side must be the service, or the gateway, that is meant', () => {
  const check = (name: string, names: string[]) => checkServiceIdentity(name, { raw: of(names).raw } as never);
  const gateway = gatewayCertificateName('gw-1');
  expect(check(TOPOLOGY_NAME, [TOPOLOGY_NAME])).toBeUndefined();
  expect(check(gateway, [LINK_GATEWAY_NAME, gateway])).toBeUndefined();
  expect(check(gateway, [LINK_GATEWAY_NAME])).toMatchObject({
    code: 'wrong-name',
    message: `the certificate of the other side is that of ${LINK_GATEWAY_NAME}, not of ${gateway}`,
  });
  expect(check(TOPOLOGY_NAME, [])).toMatchObject({ message: expect.stringContaining('is that of nobody, not of') });
  // A gateway's own name alone, without that of the service, does not count.
  expect(check(gateway, [gateway])).toMatchObject({ code: 'wrong-name' });
});
