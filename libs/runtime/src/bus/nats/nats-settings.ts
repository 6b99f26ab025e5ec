import { type HostPort, parseHostPort } from '../../address.ts';
import { type SettingValues, setting } from '../../settings/setting.ts';
import { integer, list, text } from '../../settings/setting-types.ts';

const DEFAULT_PORT = 4222;
/** Most copies of a bucket: JetStream's limit. */
const MAX_REPLICAS = 5;
const MAX_SERVERS = 32;
/** Longest path of a file, characters (Linux's PATH_MAX). */
const MAX_PATH_CHARS = 4096;

/** A NATS server. */
export interface NatsServer extends HostPort {
  /** With `tls://`: TLS must be used. */
  readonly tls: boolean;
}

/** Reads `[nats://|tls://]host[:port]`. Throws an Error that does not repeat the text. */
export function parseNatsServer(written: string): NatsServer {
  if (written.includes('@')) throw new Error('must not hold credentials: there are settings for them');
  const [, scheme, host] = /^(?:(nats|tls):\/\/)?([^/]+)\/?$/.exec(written) ?? [];
  if (host === undefined) throw new Error('must be nats://host:port or tls://host:port');
  const address = /:[0-9]+$/.test(host) ? host : `${host}:${DEFAULT_PORT}`;
  return { ...parseHostPort(address), tls: scheme === 'tls' };
}

function file({ env, flag, describe }: { env: string; flag: string; describe: string }) {
  return setting({ env, flag, describe, default: '', parse: text({ max: MAX_PATH_CHARS }) });
}

function secret({ env, flag, describe }: { env: string; flag: string; describe: string }) {
  return setting({ env, flag, describe, default: '', secret: true, parse: text() });
}

/** Settings by which the processes of an installation find each other. docs/scaling.md */
export const natsSettings = {
  natsUrl: setting({
    env: 'SPANMESH_NATS_URL',
    flag: '--nats-url',
    default: '',
    describe:
      'NATS servers (with JetStream): comma-separated nats://host:port or tls://host:port; empty: none is used.',
    // Treated as a secret, because somebody may write a password into the URL.
    secret: true,
    parse: list(parseNatsServer, { max: MAX_SERVERS }),
  }),
  natsUser: setting({
    env: 'SPANMESH_NATS_USER',
    flag: '--nats-user',
    default: '',
    describe: 'User at the NATS servers.',
    parse: text(),
  }),
  natsPassword: secret({
    env: 'SPANMESH_NATS_PASSWORD',
    flag: '--nats-password',
    describe: 'Password of that user. Others on the host can read flags: use the variable.',
  }),
  natsPasswordFile: file({
    env: 'SPANMESH_NATS_PASSWORD_FILE',
    flag: '--nats-password-file',
    describe:
      'File of that password instead; it is read at each login, so that it can be changed. A last line end is not part of it.',
  }),
  natsToken: secret({
    env: 'SPANMESH_NATS_TOKEN',
    flag: '--nats-token',
    describe: 'Token for the NATS servers. Others on the host can read flags: use the variable.',
  }),
  natsNkeyFile: file({
    env: 'SPANMESH_NATS_NKEY_FILE',
    flag: '--nats-nkey-file',
    describe: 'File of the seed of the nkey for the NATS servers.',
  }),
  natsCredsFile: file({
    env: 'SPANMESH_NATS_CREDS_FILE',
    flag: '--nats-creds-file',
    describe: 'File of credentials (JWT and seed) for the NATS servers.',
  }),
  natsTlsCa: file({
    env: 'SPANMESH_NATS_TLS_CA',
    flag: '--nats-tls-ca',
    describe: "PEM file of the CA of the NATS servers; set: TLS, or not at all. Empty: the system's CAs.",
  }),
  natsTlsCert: file({
    env: 'SPANMESH_NATS_TLS_CERT',
    flag: '--nats-tls-cert',
    describe: 'PEM file of the certificate that is shown to the NATS servers.',
  }),
  natsTlsKey: file({
    env: 'SPANMESH_NATS_TLS_KEY',
    flag: '--nats-tls-key',
    describe: 'PEM file of the key of that certificate.',
  }),
  natsReplicas: setting({
    env: 'SPANMESH_NATS_REPLICAS',
    flag: '--nats-replicas',
    default: '1',
    describe: 'Copies that JetStream keeps of each bucket: the number of servers that run it, 1, 3 or 5.',
    parse: integer({ min: 1, max: MAX_REPLICAS }),
  }),
};

/** What `readSettings(natsSettings, …)` returns. */
export type NatsOptions = SettingValues<typeof natsSettings>;
