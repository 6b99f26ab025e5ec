import type { Command } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh status` */
export function addStatus(program: Command, terminal: Terminal): void {
  const command = program
    .command('status')
    .description('say how the installation is: problems first; exit code 1 if there are any')
    .option('--json', 'the same as -o json');
  addApiOptions(command).action(async ({ json = false }: { readonly json?: boolean }) => {
    const { showStatus } = await import('../status/show-status.ts');
    const options = readApiOptions(command, terminal);
    await showStatus(json ? { ...options, output: 'json' } : options, terminal);
  });
}
