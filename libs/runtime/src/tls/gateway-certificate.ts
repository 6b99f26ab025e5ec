import type { X509Certificate } from 'node:crypto';
import { GATEWAY_NAME } from '@spanmesh/proto/gateway-id';
import { type AuthenticatedCall, carriesName, certificateOf, namesOf } from './certificate-name.ts';
import { LINK_GATEWAY_NAME } from './service-names.ts';

/** Ending of a gateway's name in its certificate. */
const ENDING = `.${LINK_GATEWAY_NAME}`;
/** The beginning of names, and a `*` for one character or more; or the `*` alone. */
const PATTERN = /^(?:[a-z0-9][-a-z0-9]{0,61})?\*$/;

/** Whether a text is a gateway's name, or a pattern of names that a certificate may carry. */
export function isGatewayPattern(text: string): boolean {
  return GATEWAY_NAME.test(text) || PATTERN.test(text);
}

/**
 * The name in a gateway's certificate (subjectAltName, DNS), besides that of the service, which says that it may be the gateway of this
 * name, or of any that fits the pattern. A text that is neither gives a name that nobody has.
 */
export function gatewayCertificateName(gateway: string): string {
  return `${isGatewayPattern(gateway) ? gateway : '-'}${ENDING}`;
}

/** The gateway of a name that gatewayCertificateName has made; null: it is none. */
export function gatewayOfName(name: string): string | null {
  return name.endsWith(ENDING) ? name.slice(0, -ENDING.length) : null;
}

/** Whether a certificate is that of a link-gateway that may be the one of this name. */
export function mayBeGateway(certificate: X509Certificate, gateway: string): boolean {
  if (!GATEWAY_NAME.test(gateway) || !carriesName(certificate, LINK_GATEWAY_NAME)) return false;
  if (carriesName(certificate, gatewayCertificateName(gateway))) return true;
  // Each pattern that fits, letter for letter: no text of a certificate is taken apart here, and OpenSSL has other rules for stars.
  for (let chars = 0; chars < gateway.length; chars++) {
    if (carriesName(certificate, gatewayCertificateName(`${gateway.slice(0, chars)}*`))) return true;
  }
  return false;
}

/** Says whether somebody may speak for the gateway of a name: null, or why not. */
export type GatewayCheck = (gateway: string) => string | null;

/** Anybody may: there are no certificates. */
export const ANY_GATEWAY: GatewayCheck = () => null;

/** For which gateways the caller of a call may speak. Without TLS for any: then nobody is asked who he is. */
export function gatewaysOfCaller(call: AuthenticatedCall): GatewayCheck {
  const certificate = certificateOf(call);
  if (certificate === null) return ANY_GATEWAY;
  return (gateway) => {
    if (mayBeGateway(certificate, gateway)) return null;
    const shown = namesOf(certificate).join(', ') || 'nobody';
    return `The certificate shown is that of ${shown}; the gateway ${gateway} needs ${gatewayCertificateName(gateway)} in it.`;
  };
}
