import { X509Certificate } from 'node:crypto';

/** Only this very name counts: a wildcard would name every service at once, and a subject is free text. */
const EXACTLY = { subject: 'never', wildcards: false, partialWildcards: false } as const;

/** Whether a certificate carries a name among its subjectAltNames (DNS). */
export function carriesName(certificate: X509Certificate, name: string): boolean {
  return certificate.checkHost(name, EXACTLY) !== undefined;
}

/** The DNS names of a certificate, for messages. */
export function namesOf(certificate: X509Certificate): string[] {
  return [...(certificate.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"\s]+)/g)].map(([, name = '']) => name);
}

/** The method of a gRPC call, on the server's side, that identifies the caller. */
export interface AuthenticatedCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

/**
 * The certificate that the caller of a gRPC call has shown; null: none, or no CA that we trust has signed it, or there
 * is no TLS.
 */
export function certificateOf(call: AuthenticatedCall): X509Certificate | null {
  // Present only if the connection has TLS and the chain was verified.
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  return raw === undefined ? null : new X509Certificate(raw);
}
