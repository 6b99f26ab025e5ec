import type { Command } from 'commander';
import { addAddressOptions, readApiOptions } from '../api-options.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh shell NODE [COMMAND…]` */
export function addShell(program: Command, terminal: Terminal): void {
  const command = program
    .command('shell')
    .description('run commands of the debug shell on a node, over its span')
    .argument('<node>', 'id of a node, the beginning of it, or its label', labelArgument)
    .argument('[command...]', 'the command; without one, each line of standard input is one');
  addAddressOptions(addFilters(command, 'dialect', 'cluster'));
  command.action(async (node: string, words: string[], filters: FilterOptions) => {
    const [{ shell }, { nodeSelector }] = await Promise.all([
      import('../route/shell.ts'),
      import('../route/node-selector.ts'),
    ]);
    const options = readApiOptions(command, terminal);
    const { address, access, timeoutMs } = options;
    const text = words.length === 0 ? null : words.join(' ');
    const selector = await nodeSelector(node, filters, options);
    await shell({ node: selector, address, access, timeoutMs, command: text }, terminal);
  });
}
