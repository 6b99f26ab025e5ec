import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { CertificateAuthority, type CertificateRequest } from './certificate-authority.ts';
import { VALID } from './certificates.fixture.ts';
import { isClientOf } from './issued-by.ts';

const [own, other] = ['own CA', 'other CA'].map((subject) => CertificateAuthority.create({ subject, ...VALID }));
const now = Date.now();

function issued(by = own, request: Partial<CertificateRequest> = {}): X509Certificate {
  const made = by!.issue({ subject: 'ann', names: ['read.clients.spanmesh'], roles: ['client'], ...VALID, ...request });
  return new X509Certificate(made.cert);
}
const ca = (of = own) => new X509Certificate(of!.pem.cert);

it('a certificate for a client is accepted if one of the CAs has issued it', () => {
  expect(isClientOf([ca(other), ca()], issued(), now)).toBe(true);
  expect(isClientOf([ca()], issued(own, { roles: ['client', 'server'] }), now)).toBe(true);
});

it.each<[string, () => X509Certificate, X509Certificate[], number]>([
  ['another CA', () => issued(other), [ca()], now],
  [
    'another CA of the same name',
    () => issued(CertificateAuthority.create({ subject: 'own CA', ...VALID })),
    [ca()],
    now,
  ],
  ['no CA', () => issued(), [], now],
  ['a certificate that is no CA’s', () => issued(), [issued()], now],
  ['itself', () => ca(), [issued()], now],
  ['its CA, for servers', () => issued(own, { roles: ['server'] }), [ca()], now],
  ['its CA, and is over', () => issued(), [ca()], VALID.notAfter.getTime()],
  ['its CA, and is not valid yet', () => issued(), [ca()], VALID.notBefore.getTime() - 1000],
])('a certificate is not accepted if it is of %s', (_, certificate, cas, at) => {
  expect(isClientOf(cas, certificate(), at)).toBe(false);
});
