import { type ApiRole, createApiToken } from '@spanmesh/runtime/access/api-tokens';
import { Failure } from '../failure.ts';
import { note, type Terminal, write } from '../terminal.ts';

/**
 * Makes a token. It goes to standard output, and its line for the tokens file to standard error, so that the token can
 * be redirected into a file. Neither is stored.
 * @throws Failure usage: a name that is not allowed
 */
export async function newToken({ name, role }: { name: string; role: ApiRole }, terminal: Terminal): Promise<void> {
  const { token, line } = create(name, role);
  await write(terminal.out, `${token}\n`);
  note(terminal, 'that is the token; it is not shown again. The line for SPANMESH_API_TOKENS_FILE:');
  await write(terminal.err, `${line}\n`);
}

function create(name: string, role: ApiRole): ReturnType<typeof createApiToken> {
  try {
    return createApiToken({ name, role });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Failure('usage', error.message, { cause: error });
  }
}
