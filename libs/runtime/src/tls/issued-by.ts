import type { X509Certificate } from 'node:crypto';

/** For what a certificate of a client must be good, where it says for what it is (id-kp-clientAuth). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** Whether one of the CAs has itself issued this certificate for a client, and it is valid. `now`: milliseconds since 1970. */
export function isClientOf(cas: readonly X509Certificate[], certificate: X509Certificate, now: number): boolean {
  if (now < Date.parse(certificate.validFrom) || now >= Date.parse(certificate.validTo)) return false;
  // Undefined where it is not limited, whatever the types say.
  const uses = certificate.keyUsage as readonly string[] | undefined;
  if (uses !== undefined && !uses.includes(CLIENT_AUTH)) return false;
  return cas.some((ca) => ca.ca && certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
}
