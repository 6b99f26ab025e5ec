import { readKeyFiles } from './key-files.ts';
import { readSeenKeys, SEEN_KEYS_FILE } from './seen-keys-file.ts';
import { type Decided, type SeenKey, WithdrawnKeys } from './withdrawn-keys.ts';

/**
 * The rules that a gateway started now with this keys directory would have.
 * @throws KeysError the directory cannot be read.
 */
export async function readRules(directory: string): Promise<Decided> {
  const files = await readKeyFiles(directory);
  const problems = [...files.problems];
  let seen: readonly SeenKey[] = [];
  try {
    seen = (await readSeenKeys(directory)) ?? [];
  } catch {
    problems.push({ file: SEEN_KEYS_FILE, problem: 'cannot be read: which keys were taken away is not known' });
  }
  return new WithdrawnKeys({ absenceMs: 0 }, seen).decide({ ...files, problems }, 0);
}
