import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { exitsWith1 } from '../exit-codes.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh trace FROM TO` */
export function addTrace(program: Command, terminal: Terminal): void {
  const command = program
    .command('trace')
    .description('print the way from a peer to a node, how long it takes, and why no other link is taken')
    .argument(
      '<from>',
      'id or number of a connection, the label of a LNK_CONN on it, or a node that came in on it',
      labelArgument,
    )
    .argument('<to>', 'id of a node, the beginning of it, or its label', labelArgument);
  exitsWith1(command, 'there is no way');
  addApiOptions(command).action(async (from: string, to: string) => {
    const { trace } = await import('../trace/trace.ts');
    await trace({ from, to }, readApiOptions(command, terminal), terminal);
  });
}
