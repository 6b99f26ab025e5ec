import type { X509Certificate } from 'node:crypto';

/** The use that a client's certificate must allow, if it limits its uses (id-kp-clientAuth). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/**
 * Whether one of the CAs has itself issued this certificate, for a client, and it is valid. `now`: milliseconds since
 * 1970.
 */
export function isClientOf(cas: readonly X509Certificate[], certificate: X509Certificate, now: number): boolean {
  if (now < Date.parse(certificate.validFrom) || now >= Date.parse(certificate.validTo)) return false;
  // Undefined if the certificate does not limit its uses, whatever the types say.
  const uses = certificate.keyUsage as readonly string[] | undefined;
  if (uses !== undefined && !uses.includes(CLIENT_AUTH)) return false;
  return cas.some((ca) => ca.ca && certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
}
