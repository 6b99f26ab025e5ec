import { type SettingValues, setting } from '../settings/setting.ts';
import { boolean, text } from '../settings/setting-types.ts';

/** Longest path of a file, characters (Linux's PATH_MAX). */
const MAX_PATH_CHARS = 4096;

function file({ env, flag, describe }: { env: string; flag: string; describe: string }) {
  return setting({ env, flag, describe, default: '', parse: text({ max: MAX_PATH_CHARS }) });
}

/** Settings of every process about who may connect to it. The files are read again when they change. docs/tls.md */
export const securitySettings = {
  tlsCa: file({
    env: 'SPANMESH_TLS_CA',
    flag: '--tls-ca',
    describe: "PEM file of the CA of the installation's services; empty: no TLS between services (loopback only).",
  }),
  tlsCert: file({
    env: 'SPANMESH_TLS_CERT',
    flag: '--tls-cert',
    describe: 'PEM file of the certificate of this process for other services, with the chain up to the CA.',
  }),
  tlsKey: file({
    env: 'SPANMESH_TLS_KEY',
    flag: '--tls-key',
    describe: 'PEM file of the key of that certificate.',
  }),
  apiTlsCert: file({
    env: 'SPANMESH_API_TLS_CERT',
    flag: '--api-tls-cert',
    describe: 'PEM file of the certificate of the gRPC API; empty: no TLS on the API (loopback only).',
  }),
  apiTlsKey: file({
    env: 'SPANMESH_API_TLS_KEY',
    flag: '--api-tls-key',
    describe: 'PEM file of the key of that certificate.',
  }),
  apiTlsCa: file({
    env: 'SPANMESH_API_TLS_CA',
    flag: '--api-tls-ca',
    describe: 'PEM file of the CA of certificates that users of the API may show; empty: none are asked for.',
  }),
  apiTokensFile: file({
    env: 'SPANMESH_API_TOKENS_FILE',
    flag: '--api-tokens-file',
    describe: 'File of the tokens that users of the API may show: lines of `spanmesh tokens new`; empty: none.',
  }),
  insecure: setting({
    env: 'SPANMESH_INSECURE',
    flag: '--insecure',
    default: 'false',
    describe: 'Listen on any address without TLS and without asking who calls: for closed test networks only.',
    parse: boolean(),
  }),
};

/** What `readSettings(securitySettings, …)` returns. */
export type SecurityOptions = SettingValues<typeof securitySettings>;
