import type { Command } from 'commander';
import { addAddressOptions, DEFAULT_ADDRESS } from '../api-options.ts';
import { addLocalListOptions, readTableOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

interface AddOptions {
  readonly address?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly tokenFile?: string;
}

/** `spanmesh context add`, `use`, `list`, `rm` */
export function addContext(program: Command, terminal: Terminal): void {
  const context = program
    .command('context')
    .description('named addresses of installations, with the files that open them');
  const add = context
    .command('add')
    .description('keep --address, --ca, --cert, --key and --token-file under a name; the first one is in use')
    .argument('<name>', 'how it is called');
  addAddressOptions(add).action(async (name: string) => {
    const { addContext: keep } = await import('../context/change-contexts.ts');
    const given: AddOptions = { ...program.opts<AddOptions>(), ...add.opts<AddOptions>() };
    const { address = DEFAULT_ADDRESS, ca, cert, key, tokenFile } = given;
    const files = Object.fromEntries(
      Object.entries({ ca, cert, key, tokenFile }).filter(([, file]) => file !== undefined),
    );
    keep(name, { address, ...files }, terminal);
  });
  context
    .command('use')
    .description('use a context for every command that names no address')
    .argument('<name>', 'how it is called')
    .action(async (name: string) => (await import('../context/change-contexts.ts')).useContext(name, terminal));
  context
    .command('rm')
    .description('forget a context')
    .argument('<name>', 'how it is called')
    .action(async (name: string) => (await import('../context/change-contexts.ts')).removeContext(name, terminal));
  const list = context.command('list').description('list the contexts; * is the one in use');
  addLocalListOptions(list).action(async () =>
    (await import('../context/change-contexts.ts')).listContexts(readTableOptions(list), terminal),
  );
}
