import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';

/** The services, what they are, and where they start. */
const SERVICES = [
  ['standalone', 'everything in one process: for one host, and to try things out', '@spanmesh/standalone/main'],
  ['link-gateway', 'terminates the connections of peers', '@spanmesh/link-gateway/main'],
  ['topology', 'owns the span trees and decides what is relayed', '@spanmesh/topology/main'],
  ['volconf', 'keeps the connections that volume configurations ask for', '@spanmesh/volconf/main'],
] as const;

/** `spanmesh run SERVICE`: one subcommand for each service that is installed. */
export function addRun(program: Command, terminal: Terminal): void {
  const run = program
    .command('run')
    .description('run a service until it is stopped by SIGTERM or SIGINT')
    .usage('<service> [flags]')
    .enablePositionalOptions();
  for (const [name, description, specifier] of SERVICES) {
    if (!isInstalled(specifier)) continue;
    run
      .command(name)
      .description(description)
      .usage('[flags]')
      .argument('[flags...]')
      // Which flags there are, --help among them, is the service's own affair: it has to be loaded to know.
      .helpOption(false)
      .passThroughOptions()
      .allowUnknownOption()
      .action(async (_flags: string[], _options: unknown, command: Command) => {
        const { runNamedService } = await import('../run-service.ts');
        await runNamedService({ name, description, specifier, args: command.args }, terminal);
      });
  }
}

/** Packages are installed as a whole, but a service's main may not be part of this one. */
function isInstalled(specifier: string): boolean {
  try {
    return existsSync(fileURLToPath(import.meta.resolve(specifier)));
  } catch {
    return false;
  }
}
