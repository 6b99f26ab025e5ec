import { X509Certificate } from 'node:crypto';

/** Exactly this name: a wildcard would be every service at once, and a subject is free text. */
const EXACTLY = { subject: 'never', wildcards: false, partialWildcards: false } as const;

/** Whether a certificate carries a name among its subjectAltNames (DNS). */
export function carriesName(certificate: X509Certificate, name: string): boolean {
  return certificate.checkHost(name, EXACTLY) !== undefined;
}

/** The DNS names of a certificate, for messages. */
export function namesOf(certificate: X509Certificate): string[] {
  return [...(certificate.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"\s]+)/g)].map(([, name = '']) => name);
}

/** The part of the server's side of a gRPC call that tells who makes it. */
export interface AuthenticatedCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

/** The certificate that the caller of a gRPC call has shown; null: none, or no CA that we believe has signed it, or there is no TLS. */
export function certificateOf(call: AuthenticatedCall): X509Certificate | null {
  // Not there unless the connection is TLS and the chain was verified.
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  return raw === undefined ? null : new X509Certificate(raw);
}
