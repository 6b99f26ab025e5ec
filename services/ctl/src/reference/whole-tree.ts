import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { SERVICES } from '../commands/run.ts';
import { buildProgram } from '../program.ts';
import { serviceCommand } from '../run-service.ts';
import type { Terminal } from '../terminal.ts';
import { type CommandInfo, commandTree } from './command-tree.ts';

/** Nothing is printed or read while commands are only looked at. */
function nowhere(): Terminal {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  return { out: sink, err: sink, in: process.stdin, env: {} };
}

/** All commands, with the flags of the services, which are loaded for it. */
export async function wholeTree(): Promise<CommandInfo> {
  const terminal = nowhere();
  const services = new Map<string, Command>();
  for (const [name, description, load] of SERVICES) {
    const { settings } = await load();
    services.set(`spanmesh run ${name}`, serviceCommand(name, description, settings, terminal));
  }
  return commandTree(buildProgram(terminal), services);
}
