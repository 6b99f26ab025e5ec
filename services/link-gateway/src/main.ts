import { runService } from '@spanmesh/runtime/process/service';
import { createLinkGatewayProcess } from './process.ts';

export { settings } from './process.ts';

/** Reads the settings, and everything that is read before it starts. @throws SettingError */
export function check(flags: Record<string, string | undefined>): void {
  createLinkGatewayProcess({ env: process.env, flags });
}

/** `spanmesh run link-gateway`: until SIGTERM or SIGINT. Flags are keyed as declared, dashes included. */
export async function run(flags: Record<string, string | undefined>): Promise<void> {
  await runService(() => createLinkGatewayProcess({ env: process.env, flags }));
}
