import type { Command } from 'commander';
import { addAddressOptions, readApiOptions } from '../api-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh debug dump` */
export function addDebug(program: Command, terminal: Terminal): void {
  const debug = program.command('debug').description('what a report of a fault needs');
  const command = debug
    .command('dump')
    .description(
      'write one archive: status, trees, and of each process its settings, metrics and last log lines; no secrets',
    )
    .option('-o, --out <file>', 'where to write it (default: spanmesh-debug-TIME.tar.gz)');
  addAddressOptions(command).action(async (query: { readonly out?: string }) => {
    const { debugDump } = await import('../debug/dump.ts');
    await debugDump(query, readApiOptions(command, terminal), terminal);
  });
}
