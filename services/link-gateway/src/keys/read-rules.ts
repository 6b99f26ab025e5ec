import { readKeyFiles } from './key-files.ts';
import { readSeenKeys } from './seen-keys-file.ts';
import { type Decided, WithdrawnKeys } from './withdrawn-keys.ts';

/**
 * What a gateway that is started with a keys directory now makes of it.
 * @throws KeysError the directory cannot be read; Error: its file of seen keys cannot be.
 */
export async function readRules(directory: string): Promise<Decided> {
  const files = await readKeyFiles(directory);
  return new WithdrawnKeys({ absenceMs: 0 }, (await readSeenKeys(directory)) ?? []).decide(files, 0);
}
