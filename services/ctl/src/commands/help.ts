import type { Command } from 'commander';

/** `spanmesh help [COMMAND…]`, also of commands below others, and of services, which have to be loaded to know their flags. */
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
