import { runService } from '@spanmesh/runtime/process/service';
import { createVolconfProcess } from './process.ts';

export { settings } from './process.ts';

/** `spanmesh run volconf`: until SIGTERM or SIGINT. Flags are keyed as declared, dashes included. */
export async function run(flags: Record<string, string | undefined>): Promise<void> {
  await runService(() => createVolconfProcess({ env: process.env, flags }));
}
