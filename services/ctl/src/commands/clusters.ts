import type { Command } from 'commander';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh clusters` */
export function addClusters(program: Command, terminal: Terminal): void {
  const command = program.command('clusters').description('list clusters: nodes that serve the same thing');
  addListOptions(addFilters(command, 'dialect', 'cluster'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('clusters', { filters, options: readListOptions(command, terminal) }, terminal);
  });
}
