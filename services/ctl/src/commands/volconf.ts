import { DIALECT_NAMES } from '@spanmesh/proto/dialect';
import { type Command, Option } from 'commander';
import { addAddressOptions, addApiOptions, parseTimeOrZero, readApiOptions } from '../api-options.ts';
import type { FilterOptions } from '../filter-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';
import type { TargetFilters } from '../volconf/show-targets.ts';

/** `spanmesh volconf list|describe|set|rm|watch|export|import` */
export function addVolconf(program: Command, terminal: Terminal): void {
  const volconf = program
    .command('volconf')
    .description('connections that are kept: those that volumes ask for, and those that an operator sets');
  addList(volconf, terminal);
  addDescribe(volconf, terminal);
  addSet(volconf, terminal);
  addRemove(volconf, terminal);
  addWatchTargets(volconf, terminal);
  addExport(volconf, terminal);
  addImport(volconf, terminal);
}

function addList(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('list')
    .description('list targets')
    .addOption(new Option('--state <state>', 'only this state').choices(['stopped', 'connect', 'running']))
    .addOption(
      new Option('--media <uuid>', 'only slots of this media').argParser((text: string) => text.toLowerCase()),
    );
  addListOptions(command).action(async (filters: TargetFilters) => {
    const { listTargets } = await import('../volconf/show-targets.ts');
    await listTargets(filters, readListOptions(command, terminal), terminal);
  });
}

function addDescribe(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('describe')
    .description('say everything that is known of a target')
    .argument('<name>', "the operator's name, or <media uuid>/<slot>");
  addApiOptions(command).action(async (name: string) => {
    const { showTarget } = await import('../volconf/show-targets.ts');
    await showTarget(name, readApiOptions(command, terminal), terminal);
  });
}

function addSet(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('set')
    .description('keep a connection to a host, over restarts, until it is removed')
    .argument('<name>', 'small letters, digits, dashes and dots')
    .argument('<path>', 'span:host, span:host:port or span:[v6]:port');
  command.addOption(
    new Option('--dialect <dialect>', "what to speak there; otherwise the peer's own").choices(DIALECT_NAMES),
  );
  addApiOptions(command).action(async (name: string, path: string, { dialect }: FilterOptions) => {
    const [{ setTarget }, { dialectFilter }] = await Promise.all([
      import('../volconf/show-targets.ts'),
      import('../api/dialect-filter.ts'),
    ]);
    await setTarget({ name, path, dialect: dialectFilter(dialect) }, readApiOptions(command, terminal), terminal);
  });
}

function addRemove(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('rm')
    .description("remove an operator's target and hang up; what a volume asks for cannot be removed")
    .argument('<name>', 'its name');
  addApiOptions(command).action(async (name: string) => {
    const { removeTarget } = await import('../volconf/show-targets.ts');
    await removeTarget(name, readApiOptions(command, terminal), terminal);
  });
}

function addWatchTargets(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('watch')
    .description('print all targets, then a line for each that changes, until interrupted')
    .addOption(
      new Option('--duration <time>', 'stop by itself after this time; 0: never').default(0).argParser(parseTimeOrZero),
    );
  addApiOptions(command).action(async ({ duration }: { readonly duration: number }) => {
    const { showTargetChanges } = await import('../volconf/show-target-changes.ts');
    const query = { options: readApiOptions(command, terminal) };
    await showTargetChanges(duration === 0 ? query : { ...query, signal: AbortSignal.timeout(duration) }, terminal);
  });
}

function addExport(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('export')
    .description("print an operator's targets as `import` takes them: a JSON object a line, in order of their names");
  addAddressOptions(command).action(async () => {
    const { exportTargets } = await import('../volconf/export-import.ts');
    await exportTargets(readApiOptions(command, terminal), terminal);
  });
}

function addImport(volconf: Command, terminal: Terminal): void {
  const command = volconf
    .command('import')
    .description(
      "set an operator's targets as a file says, and print a line for each that is added (+), changed (~) or removed (-)",
    )
    .argument('<file>', 'as `export` prints them; -: standard input')
    .option('--dry-run', 'only say what would be done')
    .option('--prune', 'also remove targets that are not in the file');
  addAddressOptions(command).action(
    async (
      file: string,
      { dryRun = false, prune = false }: { readonly dryRun?: boolean; readonly prune?: boolean },
    ) => {
      const { importTargets } = await import('../volconf/export-import.ts');
      await importTargets({ file, dryRun, prune }, readApiOptions(command, terminal), terminal);
    },
  );
}
