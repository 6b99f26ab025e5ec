import { Failure } from '../failure.ts';
import type { Terminal } from '../terminal.ts';

/** The directory that was typed, or else that of the environment. @throws Failure usage: neither is given. */
export function keysDirectory(typed: string | undefined, { env }: Terminal): string {
  const directory = typed ?? env.SPANMESH_KEYS_DIR ?? '';
  if (directory === '') throw new Failure('usage', 'which directory? name it, or set SPANMESH_KEYS_DIR');
  return directory;
}
