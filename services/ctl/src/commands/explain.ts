import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh explain NODE CONNECTION` */
export function addExplain(program: Command, terminal: Terminal): void {
  const command = program
    .command('explain')
    .description('say, for each link of a node, whether it is relayed to a connection and why')
    .argument('<node>', 'id of a node, the beginning of it, or its label', labelArgument)
    .argument('<connection>', 'id or number of a connection, or the label of a LNK_CONN on it', labelArgument);
  addApiOptions(command);
  command.action(async (node: string, connection: string) => {
    const { showExplanation } = await import('../views/show-explanation.ts');
    await showExplanation({ node, connection, options: readApiOptions(command, terminal) }, terminal);
  });
}
