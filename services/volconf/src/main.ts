import { runService } from '@spanmesh/runtime/process/service';
import { createVolconfProcess } from './process.ts';

export { settings } from './process.ts';

/** Reads the settings, and all files that are read before the start, and stops again. @throws SettingError */
export async function check(flags: Record<string, string | undefined>): Promise<void> {
  await createVolconfProcess({ env: process.env, flags }).stop();
}

/** `spanmesh run volconf`: until SIGTERM or SIGINT. Flags are keyed as declared, dashes included. */
export async function run(flags: Record<string, string | undefined>): Promise<void> {
  await runService(() => createVolconfProcess({ env: process.env, flags }));
}
