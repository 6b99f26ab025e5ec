import { ListProcessesResponse, type ProcessInfo, SetLogLevelResponse } from '@spanmesh/proto/v1/process';
import { ProcessApi } from '../api/process-api.ts';
import type { ApiOptions } from '../api-options.ts';
import type { ListOptions } from '../list-options.ts';
import { protobufJson } from '../output/json.ts';
import { printList } from '../output/print-list.ts';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { timeText } from '../views/words.ts';

/** Typed to return to the level of the settings. */
export const CONFIGURED = 'configured';

export interface LogLevelQuery {
  /** A level, or CONFIGURED. */
  readonly level: string;
  /** Name of a service; empty: all services. */
  readonly service: string;
  /** Id of a process; empty: all processes. */
  readonly process: string;
  /** How long the level lasts, milliseconds; 0: the services' own default. */
  readonly durationMs: number;
}

const COLUMNS: readonly Column<ProcessInfo>[] = [
  { heading: 'PROCESS', text: (p) => printable(p.id), role: () => 'node' },
  { heading: 'SERVICE', isWide: true, text: (p) => printable(p.service) },
  { heading: 'HOST', isWide: true, text: (p) => printable(p.host) },
  { heading: 'GATEWAY', narrow: 'omit', text: (p) => printable(p.gateway) },
  {
    heading: 'LEVEL',
    text: (p) => printable(p.logLevel),
    role: (p) => (p.logLevelUntil === undefined ? undefined : 'warn'),
  },
  { heading: 'CONFIGURED', narrow: 'omit', text: (p) => printable(p.configuredLogLevel) },
  { heading: 'UNTIL', narrow: 'omit', text: (p) => timeText(p.logLevelUntil) },
  { heading: 'BY', narrow: 'cut', text: (p) => printable(p.logLevelBy) },
];

const ALONE = 'NATS is away from the process that was called: the others could not be asked';

/**
 * Prints the log level of each process.
 * @throws Failure
 */
export function showLogLevels(options: ListOptions, terminal: Terminal): Promise<void> {
  return withApi(options, (api) => {
    const fetch = async () => {
      const answer = await api.processes();
      return {
        rows: answer.processes,
        notes: answer.alone ? [ALONE] : [],
        document: (processes: readonly ProcessInfo[]) =>
          protobufJson(ListProcessesResponse, { ...answer, processes: [...processes] }),
      };
    };
    return printList({ columns: COLUMNS, fetch }, options, terminal);
  });
}

/**
 * Changes the log level of processes, and prints those that have changed.
 * @throws Failure
 */
export function setLogLevel(query: LogLevelQuery, options: ListOptions, terminal: Terminal): Promise<void> {
  return withApi(options, async (api) => {
    const fetch = async () => {
      const answer = await api.setLogLevel({ ...query, level: query.level === CONFIGURED ? '' : query.level });
      return {
        rows: answer.processes,
        notes: [...(answer.alone ? [ALONE] : []), ...unreachedNotes(answer)],
        document: (processes: readonly ProcessInfo[]) =>
          protobufJson(SetLogLevelResponse, { ...answer, processes: [...processes] }),
      };
    };
    await printList({ columns: COLUMNS, fetch }, options, terminal);
  });
}

function unreachedNotes({ unreached }: SetLogLevelResponse): string[] {
  if (unreached.length === 0) return [];
  const who = unreached.map(printable).join(', ');
  return [`not changed: ${who}; a gateway orders nobody else, others need a way to the service port`];
}

async function withApi(options: ApiOptions, use: (api: ProcessApi) => Promise<void>): Promise<void> {
  const api = new ProcessApi(options);
  try {
    await use(api);
  } finally {
    api.close();
  }
}
