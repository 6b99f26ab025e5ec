import { type Command, InvalidArgumentError, Option } from 'commander';
import { addApiOptions, integer, parseTime, readApiOptions } from '../api-options.ts';
import { addSelection, TABLE_FORMATS } from '../list-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';
import { parseOrder, SORT_WORDS, type TopOrder } from '../top/order.ts';
import type { KindName } from '../top/top-table.ts';

/** Most blocks (with --watch) that can be asked for. */
const MOST = 1_000_000;
const KINDS: readonly KindName[] = ['connection', 'trunk', 'class'];

interface TopOptions {
  readonly sort: TopOrder;
  readonly columns?: readonly string[] | null;
  readonly filter: string;
  readonly gateway: string;
  readonly kind: readonly KindName[];
  readonly limit: number;
  readonly interval: number;
  readonly once?: boolean;
  readonly count?: number;
}

/** `spanmesh top` */
export function addTop(program: Command, terminal: Terminal): void {
  const sort = new Option(
    '--sort <columns>',
    `by columns, as lists are sorted, or what is most: ${SORT_WORDS.join(', ')}`,
  )
    .default(parseOrder('bytes'), 'bytes')
    .argParser(parseOrder);
  const command = program
    .command('top')
    .description('show how much passes on connections and trunks: in place on a terminal, otherwise one table')
    .addOption(
      new Option('--filter <text>', 'only what has this in its id, address or label')
        .default('')
        .argParser(labelArgument),
    )
    .option('--gateway <name|id>', 'only what this gateway counts', '')
    .addOption(
      new Option('--kind <list>', `comma-separated: ${KINDS.join(', ')} (of routes: local, trunk, client)`)
        .default(['connection', 'trunk'], 'connection,trunk')
        .argParser(parseKinds),
    )
    .addOption(
      new Option('--interval <time>', 'time that rates are taken over: 500ms, 2s, or seconds')
        .default(2000, '2s')
        .argParser(parseTime),
    )
    .option('--once', 'one table, and no more')
    .addOption(
      new Option('--count <n>', 'so many tables (default: on a terminal until interrupted, otherwise one)')
        .argParser(integer(1, MOST))
        .conflicts('once'),
    );
  addSelection(addApiOptions(command, TABLE_FORMATS), sort);
  command.action(async ({ kind, interval, once = false, count, columns = null, ...query }: TopOptions) => {
    const [{ showTop }, { interruption }] = await Promise.all([
      import('../top/show-top.ts'),
      import('../interruption.ts'),
    ]);
    const options = readApiOptions(command, terminal);
    const blocks = once ? 1 : (count ?? null);
    await interruption((signal) =>
      showTop({ ...query, columns, kinds: kind, intervalMs: interval, blocks, options, signal }, terminal),
    );
  });
}

function parseKinds(text: string): KindName[] {
  const kinds = text.split(',').map((name) => KINDS.find((kind) => kind === name.trim()));
  const known = kinds.filter((kind) => kind !== undefined);
  if (known.length < kinds.length) throw new InvalidArgumentError(`Expected some of ${KINDS.join(', ')}.`);
  return known;
}
