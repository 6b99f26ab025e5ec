import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';

/** Where the units of the Debian package look for files. */
const DEFAULT_TO = '/etc/spanmesh';

/** `spanmesh migrate` */
export function addMigrate(program: Command, terminal: Terminal): void {
  program
    .command('migrate')
    .description(
      "say what takes the place of `hammer2 service`'s files, and with --apply put it there (docs/migration.md)",
    )
    .argument('[from]', 'its directory: rsa.prv, rsa.pub, remote/ and autoconn', '/etc/hammer2')
    .option('--to <directory>', 'where to: keys/, and migrated.env with the settings', DEFAULT_TO)
    .option('--apply', 'do it; nothing that is there is overwritten')
    .action(async (from: string, { to, apply = false }: { to: string; apply?: boolean }) => {
      const { migrate } = await import('../migrate/migrate.ts');
      await migrate({ from, to, apply }, terminal);
    });
}
