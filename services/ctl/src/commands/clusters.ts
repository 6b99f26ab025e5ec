import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh clusters` */
export function addClusters(program: Command, terminal: Terminal): void {
  const command = program.command('clusters').description('list clusters: nodes that serve the same thing');
  addApiOptions(addFilters(command, 'dialect', 'cluster'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('clusters', { filters, options: readApiOptions(command, terminal) }, terminal);
  });
}
