import type { ApiRole } from '@spanmesh/runtime/access/api-tokens';
import { type Command, Option } from 'commander';
import type { Terminal } from '../terminal.ts';

/** `spanmesh tokens new` */
export function addTokens(program: Command, terminal: Terminal): void {
  const tokens = program.command('tokens').description('tokens of users of the API');
  tokens
    .command('new')
    .description('make a token (standard output), and its line for the tokens file (standard error)')
    .argument('<name>', 'whose it is, for people')
    .addOption(new Option('--role <role>', 'what it is good for').choices(['read', 'operate']).makeOptionMandatory())
    .action(async (name: string, { role }: { readonly role: ApiRole }) => {
      const { newToken } = await import('../tokens/new-token.ts');
      await newToken({ name, role }, terminal);
    });
}
