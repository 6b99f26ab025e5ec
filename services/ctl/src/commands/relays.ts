import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh relays` */
export function addRelays(program: Command, terminal: Terminal): void {
  const command = program.command('relays').description('list relays: which link is passed on to which LNK_CONN');
  addApiOptions(addFilters(command, 'dialect', 'node', 'connection', 'link'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('relays', { filters, options: readApiOptions(command, terminal) }, terminal);
  });
}
