import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { TlsError } from './tls-error.ts';

/** Exactly this name: a wildcard would be every service at once, and a subject is free text. */
const EXACTLY = { subject: 'never', wildcards: false, partialWildcards: false } as const;

/** Whether a certificate carries a name among its subjectAltNames (DNS). */
export function carriesName(certificate: X509Certificate, name: string): boolean {
  return certificate.checkHost(name, EXACTLY) !== undefined;
}

/** The DNS names of a certificate, for messages. */
export function namesOf(certificate: X509Certificate): string[] {
  return [...(certificate.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"\s]+)/g)].map(([, name]) => name!);
}

/**
 * tls.connect's `checkServerIdentity`: the peer must be the service that is meant, which is given as the server name, whatever its
 * address.
 */
export function checkServiceIdentity(name: string, { raw }: PeerCertificate): Error | undefined {
  const certificate = new X509Certificate(raw);
  if (carriesName(certificate, name)) return undefined;
  const names = namesOf(certificate).join(', ') || 'nobody';
  return new TlsError('wrong-name', '', `the certificate of the other side is that of ${names}, not of ${name}`);
}
