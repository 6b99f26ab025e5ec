import type { Command } from 'commander';

/**
 * `spanmesh help [COMMAND…]`, also for subcommands, and for services, which must be loaded because they declare their
 * own flags.
 */
export function addHelp(program: Command): void {
  const help = program
    .helpCommand(false)
    .command('help')
    .description('print the help of a command')
    .argument('[command...]', 'whose, like volconf list')
    .action(async (names: readonly string[]) => {
      let command: Command | undefined = program;
      for (const name of names) command = command?.commands.find((one) => one.name() === name);
      if (command === undefined) help.error(`error: unknown command '${names.join(' ')}'`);
      await program.parseAsync([...names, '--help'], { from: 'user' });
    });
}
