import { InspectResponse, type SettingInForce } from '@spanmesh/proto/v1/process';
import { ProcessApi } from '../api/process-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { type Paint, paintFor } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { type Column, renderTable } from '../output/table.ts';
import { note, type Terminal, write } from '../terminal.ts';

const COLUMNS: readonly Column<SettingInForce>[] = [
  { heading: 'SETTING', text: ({ name }) => printable(name), role: () => 'node' },
  {
    heading: 'FROM',
    text: ({ source }) => printable(source),
    role: ({ source }) => (source === 'default' ? undefined : 'warn'),
  },
  { heading: 'VALUE', text: valueText },
];

export interface ConfigQuery {
  /** Empty: all. */
  readonly process: string;
  /** Those that are as they are by default, too. */
  readonly all: boolean;
}

/**
 * Prints what is in force at each process, and where it comes from.
 * @throws Failure
 */
export async function showConfig(query: ConfigQuery, options: ApiOptions, terminal: Terminal): Promise<void> {
  const api = new ProcessApi(options);
  const processes: { process: string; settings: SettingInForce[] }[] = [];
  let alone = false;
  try {
    for await (const report of api.inspect(query.process)) {
      alone ||= report.alone;
      const { process } = report;
      if (process === undefined) continue;
      const settings = report.settings.filter(({ source }) => query.all || source !== 'default');
      processes.push({ process: process.id, settings });
    }
  } finally {
    api.close();
  }
  if (processes.length === 0) throw new Failure('refused', 'no process that answers fits');
  if (isDocument(options.output))
    await writeDocument(options.output, terminal.out, { processes: processes.map(document) });
  else await write(terminal.out, processes.map((one) => text(one, paintFor(terminal.out))).join('\n'));
  if (alone) note(terminal, 'NATS is away from the process that was called: the others could not be asked');
}

function document({ process, settings }: { process: string; settings: SettingInForce[] }): object {
  const whole = InspectResponse.fromPartial({ settings });
  const { settings: shown } = protobufJson(InspectResponse, whole) as { settings: unknown };
  return { process, settings: shown };
}

function text({ process, settings }: { process: string; settings: SettingInForce[] }, paint: Paint): string {
  const table = settings.length === 0 ? 'everything is as it is by default\n' : renderTable(COLUMNS, settings, paint);
  return `${paint('cluster', printable(process))}\n${table}`;
}

function valueText({ secret, value, source }: SettingInForce): string {
  if (!secret) return printable(value);
  return source === 'default' ? '' : '(a secret)';
}
