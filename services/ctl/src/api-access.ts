import { type Command, Option } from 'commander';
import type { Terminal } from './terminal.ts';

/** How the API is believed, and how it is shown who asks: paths of files, and a token. Not read yet. */
export interface ApiAccess {
  /** PEM file of the CA that has signed the API's certificate, or `system` for the CAs that this system believes. TLS if set. */
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
  // Not an option: what is typed can be seen by everybody on the host.
  token: 'SPANMESH_TOKEN',
};

/** Heading of these options in the help of a command. */
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

/** Reads them: the command's own, else the program's, else the environment's, else the context's. undefined: none is set. */
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
  // A file that was named on the command line is meant, and not a token that the environment happens to hold.
  if ((own.tokenFile ?? shared.tokenFile) !== undefined) delete access.token;
  return Object.keys(access).length === 0 ? undefined : access;
}
