import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh tree` */
export function addTree(program: Command, terminal: Terminal): void {
  const command = program.command('tree').description('draw the span trees: clusters, their nodes, their links');
  addFilters(command, 'dialect', 'cluster').option('--relays', 'also where each link is relayed to', false);
  addApiOptions(command);
  command.action(async (filters: FilterOptions & { readonly relays: boolean }) => {
    const { showTree } = await import('../views/show-tree.ts');
    await showTree({ filters, withRelays: filters.relays, options: readApiOptions(command, terminal) }, terminal);
  });
}
