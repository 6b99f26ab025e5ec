import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
import { readSecretFile } from '../../secrets/secret-file.ts';
import { TlsError } from '../../secrets/tls-error.ts';
import { SettingError } from '../../settings/setting.ts';
import type { NatsOptions } from './nats-settings.ts';

/** How often a server is pinged, ms, and how many pings may be unanswered before it counts as lost. */
export const NATS_PING_MS = 1000;
export const NATS_MAX_PINGS_OUT = 2;
/** Longest time until a server has accepted the login, ms. */
const CONNECT_MS = 2000;

/**
 * Options of the library for each connection. Files of credentials are read at each login. @throws SettingError: one of
 * them cannot be read.
 */
export function connectionOptions(options: NatsOptions): ConnectionOptions {
  const { natsUrl, natsTlsCa, natsTlsCert, natsTlsKey } = options;
  const tls = natsTlsCa !== '' || natsTlsCert !== '' || natsUrl.some((server) => server.tls);
  const authenticator = authenticatorOf(options);
  for (const [setting, file] of [
    ['SPANMESH_NATS_TLS_CA', natsTlsCa],
    ['SPANMESH_NATS_TLS_CERT', natsTlsCert],
    ['SPANMESH_NATS_TLS_KEY', natsTlsKey],
  ] as const) {
    if (file !== '') read(setting, file);
  }
  return {
    name: 'spanmesh',
    timeout: CONNECT_MS,
    pingInterval: NATS_PING_MS,
    maxPingOut: NATS_MAX_PINGS_OUT,
    ...(authenticator !== null && { authenticator }),
    ...(tls && {
      tls: {
        ...(natsTlsCa !== '' && { caFile: natsTlsCa }),
        ...(natsTlsCert !== '' && { certFile: natsTlsCert, keyFile: natsTlsKey }),
      },
    }),
  };
}

function authenticatorOf(options: NatsOptions): Authenticator | null {
  const { natsCredsFile, natsNkeyFile, natsToken, natsUser, natsPassword, natsPasswordFile } = options;
  if (natsCredsFile !== '') return credsAuthenticator(lastGood('SPANMESH_NATS_CREDS_FILE', natsCredsFile, trimmed));
  if (natsNkeyFile !== '') return nkeyAuthenticator(lastGood('SPANMESH_NATS_NKEY_FILE', natsNkeyFile, trimmed));
  if (natsToken !== '') return tokenAuthenticator(natsToken);
  if (natsUser === '') return null;
  if (natsPasswordFile === '') return usernamePasswordAuthenticator(natsUser, natsPassword);
  return usernamePasswordAuthenticator(natsUser, lastGood('SPANMESH_NATS_PASSWORD_FILE', natsPasswordFile, password));
}

/**
 * Reads a file at each login, and returns what was parsed last with success: a file read half-way through a change must
 * not end the connection for good.
 */
function lastGood<T>(setting: string, file: string, parse: (content: Buffer) => T): () => T {
  const first = read(setting, file);
  if (first.length === 0) throw new SettingError(setting, `${file} is empty`);
  let last = parse(first);
  return () => {
    try {
      const content = readSecretFile(file);
      if (content.length > 0) last = parse(content);
    } catch {
      // The last content is used again; if it is wrong the server says so.
    }
    return last;
  };
}

/** The library takes neither blanks after a seed, nor a line end after the last line of credentials. */
function trimmed(content: Buffer): Uint8Array {
  const text = content.toString('utf8').trim();
  return Buffer.from(text.includes('\n') ? `${text}\n` : text);
}

/** A password without the line end that editors and `echo` add. */
function password(content: Buffer): string {
  return content.toString('utf8').replace(/\r?\n$/, '');
}

function read(setting: string, file: string): Buffer {
  try {
    return readSecretFile(file);
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    throw new SettingError(setting, error.message, { cause: error });
  }
}
