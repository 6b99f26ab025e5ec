import type { Command } from 'commander';
import { addAddressOptions, readApiOptions } from '../api-options.ts';
import { exitsWith1 } from '../exit-codes.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

interface ShellOptions extends FilterOptions {
  readonly history: boolean;
}

/** `spanmesh shell NODE [COMMAND…]` */
export function addShell(program: Command, terminal: Terminal): void {
  const command = program
    .command('shell')
    .description('run commands of the debug shell on a node, over its span')
    .argument('<node>', 'id of a node, the beginning of it, or its label', labelArgument)
    .argument('[command...]', 'the command; without one, each line of standard input is one');
  addFilters(command, 'dialect', 'cluster').option(
    '--no-history',
    'keep no lines for the next shell (env: SPANMESH_SHELL_HISTORY=off)',
  );
  exitsWith1(command, 'a command had no answer within --timeout, or the route went');
  addAddressOptions(command);
  command.action(async (node: string, words: string[], { history, ...filters }: ShellOptions) => {
    const [{ shell }, { nodeSelector }] = await Promise.all([
      import('../route/shell.ts'),
      import('../route/node-selector.ts'),
    ]);
    const options = readApiOptions(command, terminal);
    const { address, access, timeoutMs } = options;
    const text = words.length === 0 ? null : words.join(' ');
    const selector = await nodeSelector(node, filters, options);
    await shell({ node: selector, address, access, timeoutMs, command: text, keepsHistory: history }, terminal);
  });
}
