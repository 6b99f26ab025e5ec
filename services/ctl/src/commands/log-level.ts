import { LOG_LEVELS } from '@spanmesh/runtime/log/log-levels';
import { type Command, Option } from 'commander';
import { parseTime } from '../api-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** Which processes change their log level, and for how long. */
interface LogLevelOptions {
  readonly service?: string;
  readonly process?: string;
  readonly for?: number;
}

/** `spanmesh log-level` */
export function addLogLevel(program: Command, terminal: Terminal): void {
  const command = program
    .command('log-level')
    .description('print what each process logs; with a level, change it for a while')
    .argument('[level]', `${LOG_LEVELS.join(', ')}; or configured: back to the setting`)
    .addOption(
      new Option('--service <name>', 'only processes of this service').choices([
        'link-gateway',
        'topology',
        'volconf',
        'standalone',
      ]),
    )
    .option('--process <name>', 'only this one: its id, its gateway or its host')
    .addOption(new Option('--for <time>', 'how long: 10m, 2h (default: 15m)').argParser(parseTime));
  addListOptions(command).action(async (level: string | undefined, options: LogLevelOptions) => {
    const [{ CONFIGURED, setLogLevel, showLogLevels }, { Failure }] = await Promise.all([
      import('../process/log-levels.ts'),
      import('../failure.ts'),
    ]);
    const api = readListOptions(command, terminal);
    const { service = '', process = '', for: durationMs = 0 } = options;
    if (level === undefined) {
      if (Object.keys(options).some((name) => ['service', 'process', 'for'].includes(name))) {
        throw new Failure('usage', 'which level? --service, --process and --for are for changing it');
      }
      await showLogLevels(api, terminal);
      return;
    }
    if (api.watchMs !== null) throw new Failure('usage', '--watch is for looking: a level is set once');
    if (![...LOG_LEVELS, CONFIGURED].some((known) => known === level)) {
      throw new Failure('usage', `there is no such level: ${[...LOG_LEVELS, CONFIGURED].join(', ')}`);
    }
    await setLogLevel({ level, service, process, durationMs: Math.round(durationMs) }, api, terminal);
  });
}
