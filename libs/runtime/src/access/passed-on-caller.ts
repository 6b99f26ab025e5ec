import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { MAX_TOKEN_CHARS } from './api-tokens.ts';

/** What is known of a caller. */
export interface Caller {
  /** The certificate that was shown, if a CA that we believe has signed it. */
  readonly certificate: X509Certificate | null;
  /** The bearer token that was shown, not checked. */
  readonly token: string | null;
}

/** The caller at the process that was called first. */
export interface PassedOnCaller extends Caller {
  /** The certificate that was shown there: the process that answers decides whether to believe it. */
  readonly certificate: X509Certificate | null;
  /** From where, as that process saw it: an IP address; empty: it does not say. */
  readonly address: string;
  /** It was a service, for itself: a replica that passes such a call on makes it its own. */
  readonly isService?: boolean;
}

/** Header of a call that a process has passed on: it is not passed on again. */
export const FORWARDED_HEADER = 'spanmesh-forwarded';
/** Its value where the headers below say who has made the call. */
const FOR_CALLER = 'caller';
/** Its value where the call was a service's own. Replicas of the first version say this of every call. */
const FOR_SERVICE = '1';
const TOKEN_HEADER = 'spanmesh-caller-token';
const CERTIFICATE_HEADER = 'spanmesh-caller-certificate-bin';
const ADDRESS_HEADER = 'spanmesh-caller-address';
/** Longest certificate of a user that is passed on, bytes of DER. */
export const MAX_PASSED_CERTIFICATE_BYTES = 8192;

/** Who has made the calls whose headers these are, as far as an interceptor has noted it. */
const noted = new WeakMap<Metadata, PassedOnCaller>();

/** For handlers of the call with these headers. */
export function noteCaller(metadata: Metadata, caller: PassedOnCaller): void {
  noted.set(metadata, caller);
}

/** The part of the server's side of a call that tells who has made it. */
export interface CallOfSomebody {
  readonly metadata: Metadata;
  getPeer(): string;
}

/** Who has made a call, at whichever process. */
export function callerOf(call: CallOfSomebody): PassedOnCaller {
  const known = noted.get(call.metadata);
  if (known !== undefined) return known;
  // Nobody is asked here; where the call is passed on to may.
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

/** Headers for a call that is passed on: who has made it, by what he has shown. Nothing else of his headers goes on. */
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

/** Takes out of the headers who has made the call at the process that passes it on; null: it is that process's own. */
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
