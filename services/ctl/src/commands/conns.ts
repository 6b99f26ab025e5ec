import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh conns` */
export function addConns(program: Command, terminal: Terminal): void {
  const command = program.command('conns').description('list connections, with the LNK_CONNs that are open on them');
  addApiOptions(addFilters(command, 'dialect', 'gateway'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('conns', { filters, options: readApiOptions(command, terminal) }, terminal);
  });
}
