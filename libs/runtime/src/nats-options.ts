import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
import { formatHostPort } from './address.ts';
import type { NatsOptions } from './nats-settings.ts';
import { readSecretFile } from './secret-file.ts';
import { SettingError } from './setting.ts';
import { TlsError } from './tls-error.ts';

/** How often the server is asked for a sign of life, ms, and how many questions may be open before it counts as stopped. */
export const NATS_PING_MS = 1000;
export const NATS_MAX_PINGS_OUT = 2;
/** How long a server may take until it has let us in, ms. */
const CONNECT_MS = 2000;
/** Pauses between attempts at the same server, ms: that much, and up to as much again at random. */
const RECONNECT_MS = 200;

/** What the library is told. Files of credentials are read at each login. @throws SettingError: one cannot be read. */
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
    servers: natsUrl.map(formatHostPort),
    name: 'spanmesh',
    timeout: CONNECT_MS,
    pingInterval: NATS_PING_MS,
    maxPingOut: NATS_MAX_PINGS_OUT,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_MS,
    reconnectJitterTLS: RECONNECT_MS,
    // Credentials may be changed under us: tried for ever, too, and seen in the log.
    ignoreAuthErrorAbort: true,
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
  const { natsCredsFile, natsNkeyFile, natsToken, natsUser, natsPassword } = options;
  if (natsCredsFile !== '') return credsAuthenticator(lastGood('SPANMESH_NATS_CREDS_FILE', natsCredsFile));
  if (natsNkeyFile !== '') return nkeyAuthenticator(lastGood('SPANMESH_NATS_NKEY_FILE', natsNkeyFile));
  if (natsToken !== '') return tokenAuthenticator(natsToken);
  return natsUser === '' ? null : usernamePasswordAuthenticator(natsUser, natsPassword);
}

/** A file that is being changed when it is read must not end the connection for good. */
function lastGood(setting: string, file: string): () => Uint8Array {
  let last = trimmed(read(setting, file));
  return () => {
    try {
      last = trimmed(readSecretFile(file));
    } catch {
      // Goes on with what it had; the server says if that will not do.
    }
    return last;
  };
}

function trimmed(content: Buffer): Uint8Array {
  // The library wants no blank behind a seed, and a line end behind the last line of credentials.
  const text = content.toString('utf8').trim();
  return Buffer.from(text.includes('\n') ? `${text}\n` : text);
}

function read(setting: string, file: string): Buffer {
  try {
    return readSecretFile(file);
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    throw new SettingError(setting, error.message, { cause: error });
  }
}
