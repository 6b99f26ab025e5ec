import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';

/** The services: name, description, and how to load each one, so that only the service that is run is loaded. */
export const SERVICES = [
  [
    'standalone',
    'everything in one process: for one host, and to try things out',
    () => import('@spanmesh/standalone/main'),
  ],
  ['link-gateway', 'terminates the connections of peers', () => import('@spanmesh/link-gateway/main')],
  ['topology', 'owns the span trees and decides what is relayed', () => import('@spanmesh/topology/main')],
  ['volconf', 'keeps the connections that volume configurations ask for', () => import('@spanmesh/volconf/main')],
] as const;

/** `spanmesh run SERVICE`: one subcommand for each service that is installed. */
export function addRun(program: Command, terminal: Terminal): void {
  const run = program
    .command('run')
    .description('run a service until it is stopped by SIGTERM or SIGINT')
    .usage('<service> [flags]')
    .enablePositionalOptions();
  for (const [name, description, load] of SERVICES) {
    run
      .command(name)
      .description(description)
      .usage('[flags]')
      .argument('[flags...]')
      // The service declares its flags, --help among them, so it must be loaded first.
      .helpOption(false)
      .passThroughOptions()
      .allowUnknownOption()
      .action(async (_flags: string[], _options: unknown, command: Command) => {
        const { runNamedService } = await import('../run-service.ts');
        await runNamedService({ name, description, load, args: command.args }, terminal);
      });
  }
}
