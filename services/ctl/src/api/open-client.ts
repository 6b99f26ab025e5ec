import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type PeerCertificate } from 'node:tls';
import {
  type ChannelCredentials,
  type ChannelOptions,
  type ClientOptions,
  credentials,
  InterceptingCall,
  type Interceptor,
} from '@grpc/grpc-js';
import { isLoopbackHost, parseHostPort } from '@spanmesh/runtime/address';
import { readSecretFile } from '@spanmesh/runtime/secrets/secret-file';
import { TlsError } from '@spanmesh/runtime/secrets/tls-error';
import { carriesName, namesOf } from '@spanmesh/runtime/tls/certificate-name';
import { API_NAME } from '@spanmesh/runtime/tls/service-names';
import { parseCertificates, parseTlsMaterial, TLS_VERSION } from '@spanmesh/runtime/tls/tls-material';
import type { ApiAccess } from '../api-access.ts';
import { Failure } from '../failure.ts';
import { CHANNEL_OPTIONS } from './channel.ts';

/** Where the API is, and the certificates and token that give access to it. */
export interface ApiTarget {
  /** `host:port` */
  readonly address: string;
  readonly access?: ApiAccess | undefined;
}

/** A client class as ts-proto generates it. */
type ClientClass<C> = new (address: string, credentials: ChannelCredentials, options: Partial<ClientOptions>) => C;

/** Stands for the system's CAs where a file's name is expected. */
const SYSTEM = 'system';

/**
 * A client of the API. Reads the files that `access` names.
 * @throws Failure usage: a file that cannot be used; a token that would be sent unencrypted over a network
 */
export function openClient<C>(Client: ClientClass<C>, { address, access = {} }: ApiTarget): C {
  try {
    const { host } = parseHostPort(address);
    const token = readToken(access);
    const { credentials: channel, options } =
      access.ca === undefined ? plaintext(access, host, token) : tls(access, host);
    return new Client(address, channel, {
      ...CHANNEL_OPTIONS,
      ...options,
      interceptors: token === null ? [] : [showing(token)],
    });
  } catch (error) {
    if (error instanceof TlsError) throw new Failure('usage', error.message, { cause: error });
    throw error;
  }
}

interface Channel {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

function plaintext({ cert, key }: ApiAccess, host: string, token: string | null): Channel {
  if (cert !== undefined || key !== undefined) {
    throw new Failure('usage', 'a certificate is only shown over TLS: give --ca, the CA of the API, too');
  }
  if (token !== null && !isLoopbackHost(host)) {
    throw new Failure('usage', 'a token is only sent over TLS, or to this host: give --ca, the CA of the API, too');
  }
  return { credentials: credentials.createInsecure(), options: {} };
}

function tls(access: ApiAccess, host: string): Channel {
  const ca = access.ca === SYSTEM ? null : readSecretFile(access.ca!);
  if (ca !== null) parseCertificates(access.ca!, ca);
  const context = createSecureContext({ ...TLS_VERSION, ...(ca !== null && { ca }), ...ownCertificate(access) });
  return {
    credentials: credentials.createFromSecureContext(context, { checkServerIdentity: identityOf(host, ca !== null) }),
    // This is also the name in the TLS server name extension, which must not be an address (RFC 6066).
    options: { 'grpc.ssl_target_name_override': isIP(host) === 0 ? host : API_NAME },
  };
}

function ownCertificate({ cert, key }: ApiAccess): { cert: Buffer; key: Buffer } | null {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) throw new Failure('usage', 'give both, --cert and --key');
  const files = { cert: readSecretFile(cert), key: readSecretFile(key) };
  parseTlsMaterial({ ca: null, cert, key }, { ca: null, ...files }, Date.now());
  return files;
}

/** The API's certificate must name its host or, under a CA that was given for it, the API of an installation. */
function identityOf(host: string, isOwnCa: boolean) {
  return (_name: string, { raw }: PeerCertificate): Error | undefined => {
    const certificate = new X509Certificate(raw);
    const matches = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
    if (matches !== undefined || (isOwnCa && carriesName(certificate, API_NAME))) return undefined;
    const names = namesOf(certificate).join(', ') || 'nobody';
    return new TlsError('wrong-name', '', `its certificate is that of ${names}, not of ${host} or ${API_NAME}`);
  };
}

function readToken({ token, tokenFile }: ApiAccess): string | null {
  const text = tokenFile !== undefined && token === undefined ? readSecretFile(tokenFile).toString('utf8') : token;
  if (text === undefined) return null;
  const shown = text.trim();
  // Characters that a header may hold. The error does not show the token.
  if (!/^[\x21-\x7e]+$/.test(shown)) {
    throw new Failure(
      'usage',
      `${tokenFile ?? 'SPANMESH_TOKEN'}: must be one token, as \`spanmesh tokens new\` prints it`,
    );
  }
  return shown;
}

/** Adds the token to the headers (RFC 6750). Done by hand, because grpc-js refuses call credentials without TLS. */
function showing(token: string): Interceptor {
  return (options, next) =>
    new InterceptingCall(next(options), {
      start: (metadata, listener, begin) => {
        metadata.set('authorization', `Bearer ${token}`);
        begin(metadata, listener);
      },
    });
}
