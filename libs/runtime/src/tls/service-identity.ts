import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { TlsError } from '../secrets/tls-error.ts';
import { carriesName, namesOf } from './certificate-name.ts';
import { gatewayOfName, mayBeGateway } from './gateway-certificate.ts';

/**
 * tls.connect's `checkServerIdentity`: the peer's certificate must name the service, or the gateway
 * (gatewayCertificateName), that is given as the server name, whatever its address.
 */
export function checkServiceIdentity(name: string, { raw }: PeerCertificate): Error | undefined {
  const certificate = new X509Certificate(raw);
  const gateway = gatewayOfName(name);
  if (gateway === null ? carriesName(certificate, name) : mayBeGateway(certificate, gateway)) return undefined;
  const names = namesOf(certificate).join(', ') || 'nobody';
  return new TlsError('wrong-name', '', `the certificate of the other side is that of ${names}, not of ${name}`);
}
