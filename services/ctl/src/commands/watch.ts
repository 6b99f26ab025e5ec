import { type Command, Option } from 'commander';
import { addApiOptions, parseTimeOrZero, readApiOptions } from '../api-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh watch` */
export function addWatch(program: Command, terminal: Terminal): void {
  const command = program
    .command('watch')
    .description('print a line for each change of the span trees, until interrupted')
    .option('--relays', 'also changes of relays; they are many', false)
    .addOption(
      new Option('--duration <time>', 'stop by itself after this time; 0: never').default(0).argParser(parseTimeOrZero),
    );
  addApiOptions(command);
  command.action(async ({ relays, duration }: { readonly relays: boolean; readonly duration: number }) => {
    const { showChanges } = await import('../watch/show-changes.ts');
    const query = { withRelays: relays, options: readApiOptions(command, terminal) };
    await showChanges(duration === 0 ? query : { ...query, signal: AbortSignal.timeout(duration) }, terminal);
  });
}
