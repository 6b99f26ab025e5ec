import { ListProcessesResponse, type ProcessInfo, SetLogLevelResponse } from '@spanmesh/proto/v1/process';
import { ProcessApi } from '../api/process-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { type Column, renderTable } from '../output/table.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { timeText } from '../views/words.ts';

/** What is typed for "back to the setting". */
export const CONFIGURED = 'configured';

export interface LogLevelQuery {
  /** Or CONFIGURED. */
  readonly level: string;
  /** Empty: all. */
  readonly service: string;
  /** Empty: all. */
  readonly process: string;
  /** Milliseconds; 0: as long as the services think right. */
  readonly durationMs: number;
}

const COLUMNS: readonly Column<ProcessInfo>[] = [
  { heading: 'PROCESS', text: (p) => printable(p.id), role: () => 'node' },
  { heading: 'GATEWAY', text: (p) => printable(p.gateway) },
  {
    heading: 'LEVEL',
    text: (p) => printable(p.logLevel),
    role: (p) => (p.logLevelUntil === undefined ? undefined : 'warn'),
  },
  { heading: 'CONFIGURED', text: (p) => printable(p.configuredLogLevel) },
  { heading: 'UNTIL', text: (p) => timeText(p.logLevelUntil) },
  { heading: 'BY', text: (p) => printable(p.logLevelBy) },
];

/**
 * Prints what each process logs.
 * @throws Failure
 */
export function showLogLevels(options: ApiOptions, terminal: Terminal): Promise<void> {
  return withApi(options, async (api) => {
    const answer = await api.processes();
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(ListProcessesResponse, answer));
    else await write(terminal.out, renderTable(COLUMNS, answer.processes, paintFor(terminal.out)));
    if (answer.alone) noteAlone(terminal);
  });
}

/**
 * Changes what processes log, and prints those that have changed.
 * @throws Failure
 */
export function setLogLevel(query: LogLevelQuery, options: ApiOptions, terminal: Terminal): Promise<void> {
  return withApi(options, async (api) => {
    const answer = await api.setLogLevel({ ...query, level: query.level === CONFIGURED ? '' : query.level });
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(SetLogLevelResponse, answer));
    else await write(terminal.out, renderTable(COLUMNS, answer.processes, paintFor(terminal.out)));
    if (answer.alone) noteAlone(terminal);
    if (answer.unreached.length > 0) {
      const who = answer.unreached.map(printable).join(', ');
      note(terminal, `not changed: ${who}; a gateway orders nobody else, others need a way to the service port`);
    }
  });
}

function noteAlone(terminal: Terminal): void {
  note(terminal, 'NATS is away from the process that was called: the others could not be asked');
}

async function withApi(options: ApiOptions, use: (api: ProcessApi) => Promise<void>): Promise<void> {
  const api = new ProcessApi(options);
  try {
    await use(api);
  } finally {
    api.close();
  }
}
