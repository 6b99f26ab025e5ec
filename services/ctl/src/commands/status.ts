import type { Command } from 'commander';
import { exitsWith1 } from '../exit-codes.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh status` */
export function addStatus(program: Command, terminal: Terminal): void {
  const command = program
    .command('status')
    .description('say how the installation is: problems first')
    .option('--json', 'the same as -o json')
    .option(
      '--expect <list>',
      'how many there should be at least: topology=2,link-gateway=3,volconf=1; fewer is a problem',
    );
  exitsWith1(command, 'there are problems, or it could not be asked');
  addListOptions(command).action(
    async ({ json = false, expect }: { readonly json?: boolean; readonly expect?: string }) => {
      const [{ showStatus }, { parseExpected }] = await Promise.all([
        import('../status/show-status.ts'),
        import('../status/expect.ts'),
      ]);
      const expected = expect === undefined ? new Map() : parseExpected(expect);
      const options = readListOptions(command, terminal);
      await showStatus(json ? { ...options, output: 'json' } : options, expected, terminal);
    },
  );
}
