import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh conns`, `spanmesh conns close` */
export function addConns(program: Command, terminal: Terminal): void {
  const command = program
    .command('conns')
    .description('list connections, with the LNK_CONNs that are open on them; wide: with what has passed');
  addListOptions(addFilters(command, 'dialect', 'gateway'));
  command.action(async (filters: FilterOptions) => {
    const { showList } = await import('../views/lists.ts');
    await showList('conns', { filters, options: readListOptions(command, terminal) }, terminal);
  });
  addClose(command, terminal);
}

function addClose(conns: Command, terminal: Terminal): void {
  const command = conns
    .command('close')
    .description('close a connection in order; its peer may connect anew, and volconf dials again what it had dialled')
    .argument('<connection>', 'its id, its number, or the label of a LNK_CONN on it', labelArgument)
    .option('--reason <text>', 'why, for the log and those who watch', '');
  addApiOptions(command).action(async (connection: string, { reason }: { readonly reason: string }) => {
    const { closeConnection } = await import('../gateways/close-connection.ts');
    await closeConnection({ connection, reason }, readApiOptions(command, terminal), terminal);
  });
}
