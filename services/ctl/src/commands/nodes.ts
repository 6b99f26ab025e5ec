import type { Command } from 'commander';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh nodes` */
export function addNodes(program: Command, terminal: Terminal): void {
  const command = program.command('nodes').description('list nodes: the members of clusters');
  addListOptions(addFilters(command, 'dialect', 'cluster', 'node'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('nodes', { filters, options: readListOptions(command, terminal) }, terminal);
  });
}
