import type { Command } from 'commander';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh relays` */
export function addRelays(program: Command, terminal: Terminal): void {
  const command = program.command('relays').description('list relays: which link is passed on to which LNK_CONN');
  addListOptions(addFilters(command, 'dialect', 'cluster', 'node', 'connection', 'link'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('relays', { filters, options: readListOptions(command, terminal) }, terminal);
  });
}
