import { runService } from '@spanmesh/runtime/process/service';
import { createLinkGatewayProcess } from './process.ts';

export { settings } from './process.ts';

/** Reads the settings and all files that are read at a start, and starts nothing. @throws SettingError */
export async function check(flags: Record<string, string | undefined>): Promise<void> {
  await createLinkGatewayProcess({ env: process.env, flags }).stop();
}

/** `spanmesh run link-gateway`: runs until SIGTERM or SIGINT. Keys of `flags` are as declared, dashes included. */
export async function run(flags: Record<string, string | undefined>): Promise<void> {
  await runService(() => createLinkGatewayProcess({ env: process.env, flags }));
}
