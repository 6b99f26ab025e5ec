import type { Command } from 'commander';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh config show` */
export function addConfig(program: Command, terminal: Terminal): void {
  const config = program.command('config').description('the settings of the processes');
  const command = config
    .command('show')
    .description('print what is in force at each process, and where it comes from')
    .option('--process <name>', 'only this one: its id, its gateway or its host', '')
    .option('--all', 'also what is as it is by default', false);
  addListOptions(command).action(async (query: { readonly process: string; readonly all: boolean }) => {
    const { showConfig } = await import('../config/show-config.ts');
    await showConfig(query, readListOptions(command, terminal), terminal);
  });
}
