import { type Command, Option } from 'commander';
import { addApiOptions, integer, parseTime, parseTimeOrZero, readApiOptions } from '../api-options.ts';
import type { Terminal } from '../terminal.ts';

interface EventsOptions {
  readonly follow: boolean;
  readonly since?: number;
  readonly kind?: string;
  readonly subject: string;
  readonly duration: number;
  readonly limit: number;
}

/** Most events that can be asked for. */
const MOST_EVENTS = 1_000_000;

/** `spanmesh events` */
export function addEvents(program: Command, terminal: Terminal): void {
  const command = program
    .command('events')
    .description('list what happened: peers, targets, gateways, replicas, files, limits, and what operators did')
    .option('-f, --follow', 'go on with what comes, until interrupted', false)
    .addOption(
      new Option(
        '--since <time>',
        'only what happened so long ago at most, like 10m; with --follow: begin there',
      ).argParser(parseTime),
    )
    .option('--kind <kinds>', 'only these, comma-separated: peer-up, target-failed, leader-changed, operator-act, …')
    .option('--subject <text>', "only about this: a connection's or gateway's id, a target's name", '')
    .addOption(
      new Option('--limit <n>', 'only the last ones, not with --follow; 0: all')
        .default(0)
        .argParser(integer(0, MOST_EVENTS))
        .conflicts('follow'),
    )
    .addOption(
      new Option('--duration <time>', 'with --follow: stop by itself after this time; 0: never')
        .default(0)
        .argParser(parseTimeOrZero),
    );
  addApiOptions(command);
  command.action(async ({ follow, since, kind, subject, duration, limit }: EventsOptions) => {
    const { showEvents } = await import('../events/show-events.ts');
    const kinds = kind === undefined ? [] : kind.split(',').map((name) => name.trim());
    const signal = duration === 0 ? undefined : AbortSignal.timeout(duration);
    const options = readApiOptions(command, terminal);
    await showEvents({ kinds, sinceMs: since, subject, limit, follow, signal, options }, terminal);
  });
}
