import { type Command, Option } from 'commander';
import type { Terminal } from './terminal.ts';

/** How the API proves who it is, and how the caller does: paths of files, not read yet, and a token. */
export interface ApiAccess {
  /**
   * PEM file of the CA that has signed the API's certificate, or `system` for the CAs that this system trusts. If set,
   * TLS is used.
   */
  readonly ca?: string;
  /** PEM files of a client certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
  readonly tokenFile?: string;
  readonly token?: string;
}

const VARIABLES: Readonly<Record<keyof ApiAccess, string>> = {
  ca: 'SPANMESH_CA',
  cert: 'SPANMESH_CERT',
  key: 'SPANMESH_KEY',
  tokenFile: 'SPANMESH_TOKEN_FILE',
  // There is no option for the token: every user of the host can see what is typed.
  token: 'SPANMESH_TOKEN',
};

/** Heading of the options of access in the help of a command. */
export const API_GROUP = 'The API:';

/** Declares --ca, --cert, --key and --token-file. */
export function addAccessOptions(command: Command): Command {
  const options = [
    new Option('--ca <file>', 'use TLS, and believe this CA (PEM), or those of the `system` (env: SPANMESH_CA)'),
    new Option('--cert <file>', 'client certificate to show (PEM, env: SPANMESH_CERT)'),
    new Option('--key <file>', 'its key (PEM, env: SPANMESH_KEY)'),
    new Option('--token-file <file>', 'file of the token to show (env: SPANMESH_TOKEN_FILE, SPANMESH_TOKEN)'),
  ];
  for (const option of options) command.addOption(option.helpGroup(API_GROUP));
  return command;
}

/**
 * Reads the options of access: the command's own, else the program's, else the environment's, else the context's.
 * undefined: none is set.
 */
export function readAccess(
  own: ApiAccess,
  shared: ApiAccess,
  { env, context = null }: Pick<Terminal, 'env'> & { readonly context?: ApiAccess | null },
): ApiAccess | undefined {
  const access: Partial<Record<keyof ApiAccess, string>> = {};
  for (const [name, variable] of Object.entries(VARIABLES) as [keyof ApiAccess, string][]) {
    const value = own[name] ?? shared[name] ?? (env[variable] || context?.[name]);
    if (value !== undefined && value !== '') access[name] = value;
  }
  // A file named on the command line wins over a token that happens to be in the environment.
  if ((own.tokenFile ?? shared.tokenFile) !== undefined) delete access.token;
  return Object.keys(access).length === 0 ? undefined : access;
}
