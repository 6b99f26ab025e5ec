import type { Command } from 'commander';
import { SERVICES } from '../commands/run.ts';
import { serviceCommand } from '../run-service.ts';
import { type CommandInfo, commandTree } from './command-tree.ts';
import { nowhere } from './nowhere.ts';

/** All commands of the program. The services are loaded, so that their flags are included. */
export async function wholeTree(program: Command): Promise<CommandInfo> {
  const services = new Map<string, Command>();
  for (const [name, description, load] of SERVICES) {
    const { settings } = await load();
    services.set(`spanmesh run ${name}`, serviceCommand(name, description, settings, nowhere()));
  }
  return commandTree(program, services);
}
