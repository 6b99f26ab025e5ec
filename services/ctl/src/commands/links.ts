import type { Command } from 'commander';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh links` */
export function addLinks(program: Command, terminal: Terminal): void {
  const command = program
    .command('links')
    .description('list links: the LNK_SPANs that peers opened, best first in each node');
  addListOptions(addFilters(command, 'dialect', 'cluster', 'node', 'connection'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('links', { filters, options: readListOptions(command, terminal) }, terminal);
  });
}
