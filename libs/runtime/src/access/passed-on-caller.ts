import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { MAX_TOKEN_CHARS } from './api-tokens.ts';

/** What is known of a caller. */
export interface Caller {
  /** The certificate that the caller has shown, if a CA that we trust has signed it. */
  readonly certificate: X509Certificate | null;
  /** The bearer token that the caller has shown, unchecked. */
  readonly token: string | null;
}

/** The caller of a call that is passed on, as the process saw it that was called first. */
export interface PassedOnCaller extends Caller {
  /** The certificate that was shown there: the process that answers decides whether to trust it. */
  readonly certificate: X509Certificate | null;
  /** The IP address of the caller, as that process saw it; empty: the process does not say. */
  readonly address: string;
  /**
   * Whether the caller was a service that called for itself. A replica that passes such a call on calls in its own
   * name.
   */
  readonly isService?: boolean;
}

/** Header of a call that a process has passed on. Such a call is not passed on a second time. */
export const FORWARDED_HEADER = 'spanmesh-forwarded';
/** Value of FORWARDED_HEADER where the headers below say who has made the call. */
const FOR_CALLER = 'caller';
/**
 * Value of FORWARDED_HEADER where a service called for itself. Replicas of the first version send it with every call.
 */
const FOR_SERVICE = '1';
const TOKEN_HEADER = 'spanmesh-caller-token';
const CERTIFICATE_HEADER = 'spanmesh-caller-certificate-bin';
const ADDRESS_HEADER = 'spanmesh-caller-address';
/** Longest certificate of a user that is passed on, bytes of DER. */
export const MAX_PASSED_CERTIFICATE_BYTES = 8192;

/** The callers that an interceptor has noted, by the headers of their calls. */
const noted = new WeakMap<Metadata, PassedOnCaller>();

/** Notes the caller, for handlers of the call with these headers. */
export function noteCaller(metadata: Metadata, caller: PassedOnCaller): void {
  noted.set(metadata, caller);
}

/** The part of a call, on the server's side, that says who has made it. */
export interface CallOfSomebody {
  readonly metadata: Metadata;
  getPeer(): string;
}

/** Who has made a call, at whichever process it was made. */
export function callerOf(call: CallOfSomebody): PassedOnCaller {
  const known = noted.get(call.metadata);
  if (known !== undefined) return known;
  // No gate of this process has asked. The process to which the call is passed on may ask, so the token is kept.
  const [value] = call.metadata.get('authorization');
  return { certificate: null, token: bearerToken(value), address: hostOfPeer(call.getPeer()) };
}

/** RFC 6750: `Bearer TOKEN`. */
export function bearerToken(value: unknown): string | null {
  return typeof value === 'string' ? (/^Bearer +(\S+)$/i.exec(value)?.[1] ?? null) : null;
}

/** The host of gRPC's `host:port`, IPv6 without brackets. */
export function hostOfPeer(peer: string): string {
  return peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

/** Headers for a call that is passed on: they say who has made it, and hold none of that caller's other headers. */
export function passingOn({ certificate, token, address, isService = false }: PassedOnCaller): Metadata {
  const metadata = new Metadata();
  metadata.set(FORWARDED_HEADER, isService ? FOR_SERVICE : FOR_CALLER);
  if (isService) return metadata;
  if (token !== null && token.length <= MAX_TOKEN_CHARS) metadata.set(TOKEN_HEADER, token);
  if (certificate !== null && certificate.raw.length <= MAX_PASSED_CERTIFICATE_BYTES) {
    metadata.set(CERTIFICATE_HEADER, certificate.raw);
  }
  if (isIP(address) !== 0) metadata.set(ADDRESS_HEADER, address);
  return metadata;
}

/**
 * Removes from the headers, and returns, the caller at the process that passes the call on; null: that process calls
 * for itself.
 */
export function takePassedOn(metadata: Metadata): PassedOnCaller | null {
  const [mark] = metadata.get(FORWARDED_HEADER);
  const [token] = metadata.get(TOKEN_HEADER);
  const [raw] = metadata.get(CERTIFICATE_HEADER);
  const [address] = metadata.get(ADDRESS_HEADER);
  for (const header of [TOKEN_HEADER, CERTIFICATE_HEADER, ADDRESS_HEADER]) metadata.remove(header);
  if (mark !== FOR_CALLER) return null;
  return {
    token: typeof token === 'string' && token.length <= MAX_TOKEN_CHARS ? token : null,
    certificate: typeof raw === 'object' ? certificateFrom(raw) : null,
    address: typeof address === 'string' && isIP(address) !== 0 ? address : '',
  };
}

function certificateFrom(raw: Buffer): X509Certificate | null {
  if (raw.length > MAX_PASSED_CERTIFICATE_BYTES) return null;
  try {
    return new X509Certificate(raw);
  } catch {
    return null;
  }
}
