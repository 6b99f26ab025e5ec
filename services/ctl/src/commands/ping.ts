import { type Command, Option } from 'commander';
import { addAddressOptions, integer, parseTime, readApiOptions } from '../api-options.ts';
import { exitsWith1 } from '../exit-codes.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

/** Most PINGs of one command. */
const MAX_COUNT = 1_000_000;

interface PingOptions extends FilterOptions {
  readonly count: number;
  readonly interval: number;
}

/** `spanmesh ping NODE` */
export function addPing(program: Command, terminal: Terminal): void {
  const command = program
    .command('ping')
    .description('send LNK_PING to a node over its span, and say how and when it answers')
    .argument('<node>', 'id of a node, the beginning of it, or its label', labelArgument)
    .addOption(
      new Option('--count <n>', 'number of PINGs, at most a million').default(3).argParser(integer(1, MAX_COUNT)),
    )
    .addOption(
      new Option('--interval <time>', 'time from one to the next: 500ms, 1s, or seconds')
        .default(1000, '1s')
        .argParser(parseTime),
    );
  exitsWith1(command, 'nothing has answered within --timeout of the last PING, or the route went');
  addAddressOptions(addFilters(command, 'dialect', 'cluster'));
  command.action(async (node: string, { count, interval, ...filters }: PingOptions) => {
    const [{ ping }, { nodeSelector }, { interruption }] = await Promise.all([
      import('../route/ping.ts'),
      import('../route/node-selector.ts'),
      import('../interruption.ts'),
    ]);
    const options = readApiOptions(command, terminal);
    const { address, access, timeoutMs } = options;
    const query = {
      node: await nodeSelector(node, filters, options),
      address,
      access,
      timeoutMs,
      count,
      intervalMs: interval,
    };
    await ping({ ...query, interruptible: interruption }, terminal);
  });
}
