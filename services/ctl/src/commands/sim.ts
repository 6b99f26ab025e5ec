import { type Command, InvalidArgumentError, Option } from 'commander';
import { integer, parseAddress, parseTimeOrZero } from '../api-options.ts';
import type { SimCommandOptions } from '../sim/run-sim.ts';
import type { Terminal } from '../terminal.ts';

/** Most peers of one simulation: each is a socket and a port of this host. */
const MAX_PEERS = 20_000;
const MAX_SPANS = 10_000;
const MAX_SEED = 2 ** 32 - 1;
/** Most transactions per second and peer. */
const MAX_LOAD = 100_000;

/** `spanmesh sim` */
export function addSim(program: Command, terminal: Terminal): void {
  program
    .command('sim')
    .description('connect simulated DMSG peers to a gateway and offer spans, until interrupted')
    .addOption(
      new Option('--connect <host:port>', 'where the gateway listens')
        .default('127.0.0.1:9987')
        .argParser(parseAddress),
    )
    .addOption(
      new Option('--peers <n>', `number of peers, at most ${MAX_PEERS}`).default(20).argParser(integer(1, MAX_PEERS)),
    )
    .addOption(
      new Option('--dialect <dialect>', 'what they speak; both: by turns')
        .choices(['circuit', 'linkid', 'both'])
        .default('circuit'),
    )
    .addOption(new Option('--spans <n>', 'spans that each peer offers').default(1).argParser(integer(0, MAX_SPANS)))
    .addOption(
      new Option(
        '--clusters <n>',
        'clusters that the spans are spread over, in each dialect; every third one is of block devices',
      )
        .default(3)
        .argParser(integer(1, MAX_SPANS)),
    )
    .addOption(
      new Option('--churn <time>', 'how long a span stays open on average: 10s, 500ms, or seconds; 0: for ever')
        .default(0)
        .argParser(parseTimeOrZero),
    )
    .addOption(
      new Option('--load <rate>', 'transactions that each peer runs with others, per second; 0: none')
        .default(0)
        .argParser(rate),
    )
    .addOption(
      new Option('--duration <time>', 'stop by itself after this time; 0: never').default(0).argParser(parseTimeOrZero),
    )
    .option(
      '--keys <dir>',
      "the peers' keys directory, one pair for all of them, with the router's key under its address; without it they speak plaintext",
    )
    .addOption(new Option('--seed <n>', 'same seed, same peers').default(1).argParser(integer(0, MAX_SEED)))
    .action(async (options: SimCommandOptions) => {
      const { runSim } = await import('../sim/run-sim.ts');
      await runSim(options, terminal);
    });
}

function rate(text: string): number {
  const value = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= MAX_LOAD)) throw new InvalidArgumentError(`Expected a number from 0 to ${MAX_LOAD}.`);
  return value;
}
