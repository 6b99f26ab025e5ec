import type { X509Certificate } from 'node:crypto';
import { GATEWAY_NAME } from '@spanmesh/proto/gateway-id';
import { type AuthenticatedCall, carriesName, certificateOf, namesOf } from './certificate-name.ts';
import { LINK_GATEWAY_NAME } from './service-names.ts';

/** Ending of a gateway's name in its certificate. */
const ENDING = `.${LINK_GATEWAY_NAME}`;
/** A pattern: the beginning of names, and a `*` for one or more characters; or only the `*`. */
const PATTERN = /^(?:[a-z0-9][-a-z0-9]{0,61})?\*$/;

/** Whether a text is a gateway's name, or a pattern of names, that a certificate may carry. */
export function isGatewayPattern(text: string): boolean {
  return GATEWAY_NAME.test(text) || PATTERN.test(text);
}

/**
 * The name that a gateway's certificate carries besides the service's (subjectAltName, DNS): its holder may be the
 * gateway with this name, or any that matches the pattern. If the text is neither a name nor a pattern: a name that no
 * certificate has.
 */
export function gatewayCertificateName(gateway: string): string {
  return `${isGatewayPattern(gateway) ? gateway : '-'}${ENDING}`;
}

/** The gateway's name (or pattern) in a name made by gatewayCertificateName; null: the name is another. */
export function gatewayOfName(name: string): string | null {
  return name.endsWith(ENDING) ? name.slice(0, -ENDING.length) : null;
}

/** Whether a certificate is that of a link-gateway, and allows it to have this name. */
export function mayBeGateway(certificate: X509Certificate, gateway: string): boolean {
  if (!GATEWAY_NAME.test(gateway) || !carriesName(certificate, LINK_GATEWAY_NAME)) return false;
  if (carriesName(certificate, gatewayCertificateName(gateway))) return true;
  // Compares with each pattern that the name matches, letter for letter. No text of a certificate is parsed here, and
  // OpenSSL's rules for stars differ from ours.
  for (let chars = 0; chars < gateway.length; chars++) {
    if (carriesName(certificate, gatewayCertificateName(`${gateway.slice(0, chars)}*`))) return true;
  }
  return false;
}

/** Whether a caller may act as the gateway with this name. null: yes; otherwise why not. */
export type GatewayCheck = (gateway: string) => string | null;

/** Allows all gateways: there are no certificates. */
export const ANY_GATEWAY: GatewayCheck = () => null;

/**
 * Checks as which gateways the caller of a call may act. Without TLS for all, since callers are then not identified.
 */
export function gatewaysOfCaller(call: AuthenticatedCall): GatewayCheck {
  const certificate = certificateOf(call);
  if (certificate === null) return ANY_GATEWAY;
  return (gateway) => {
    if (mayBeGateway(certificate, gateway)) return null;
    const shown = namesOf(certificate).join(', ') || 'nobody';
    return `The certificate shown is that of ${shown}; the gateway ${gateway} needs ${gatewayCertificateName(gateway)} in it.`;
  };
}
