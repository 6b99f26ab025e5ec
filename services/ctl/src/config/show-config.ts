import { InspectResponse, type SettingInForce, type UnknownSetting } from '@spanmesh/proto/v1/process';
import { unknownText } from '@spanmesh/runtime/settings/unknown-settings';
import { ProcessApi } from '../api/process-api.ts';
import { Failure } from '../failure.ts';
import type { ListOptions } from '../list-options.ts';
import { protobufJson } from '../output/json.ts';
import { type Listed, printList } from '../output/print-list.ts';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

/** One setting of one process. */
interface Row {
  readonly process: string;
  readonly setting: SettingInForce;
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'PROCESS', narrow: 'omit', text: ({ process }) => printable(process), role: () => 'cluster' },
  { heading: 'SETTING', text: ({ setting }) => printable(setting.name), role: () => 'node' },
  {
    heading: 'FROM',
    text: ({ setting }) => printable(setting.source),
    role: ({ setting }) => (setting.source === 'default' ? undefined : 'warn'),
  },
  { heading: 'VALUE', narrow: 'cut', text: valueText },
];

export interface ConfigQuery {
  /** The process to show; empty: all. */
  readonly process: string;
  /** Also show settings that have their default. */
  readonly all: boolean;
}

/**
 * Prints the settings in force at each process, and which source each value comes from.
 * @throws Failure
 */
export async function showConfig(query: ConfigQuery, options: ListOptions, terminal: Terminal): Promise<void> {
  const api = new ProcessApi(options);
  try {
    await printList({ columns: COLUMNS, fetch: () => fetchSettings(api, query) }, options, terminal);
  } finally {
    api.close();
  }
}

async function fetchSettings(api: ProcessApi, { process: wanted, all }: ConfigQuery): Promise<Listed<Row>> {
  const rows: Row[] = [];
  /** Processes that have answered, but have no settings to show. */
  const without: string[] = [];
  /** For each process, the variables in its environment that look like settings and are none. */
  const unknown = new Map<string, readonly UnknownSetting[]>();
  let alone = false;
  for await (const report of api.inspect(wanted)) {
    alone ||= report.alone;
    const { process } = report;
    if (process === undefined) continue;
    const settings = report.settings.filter(({ source }) => all || source !== 'default');
    for (const setting of settings) rows.push({ process: process.id, setting });
    if (settings.length === 0) without.push(process.id);
    if (report.unknownSettings.length > 0) unknown.set(process.id, report.unknownSettings);
  }
  if (rows.length === 0 && without.length === 0) throw new Failure('refused', 'no process that answers fits');
  const notes = without.map((process) => `${printable(process)}: everything is as it is by default`);
  for (const [process, found] of unknown) {
    for (const { name, meant } of found) {
      notes.push(
        `${printable(process)}: ${printable(unknownText({ variable: name, meant: meant || null }))}, and is not used`,
      );
    }
  }
  if (alone) notes.push('NATS is away from the process that was called: the others could not be asked');
  return { rows, notes, document: (shown) => documentOf(shown, without, unknown) };
}

/** Each process with its settings, those without any last. */
function documentOf(
  rows: readonly Row[],
  without: readonly string[],
  unknown: ReadonlyMap<string, readonly UnknownSetting[]>,
): unknown {
  const settings = new Map<string, SettingInForce[]>();
  for (const { process, setting } of rows) {
    const found = settings.get(process);
    if (found === undefined) settings.set(process, [setting]);
    else found.push(setting);
  }
  for (const process of without) settings.set(process, []);
  const unknownOf = (process: string) => {
    const found = unknown.get(process);
    return found === undefined ? {} : { unknownSettings: found.map(({ name, meant }) => ({ name, meant })) };
  };
  return {
    processes: [...settings].map(([process, own]) => ({ process, settings: settingsJson(own), ...unknownOf(process) })),
  };
}

function settingsJson(settings: SettingInForce[]): unknown {
  const whole = InspectResponse.fromPartial({ settings });
  return (protobufJson(InspectResponse, whole) as { settings: unknown }).settings;
}

function valueText({ setting: { secret, value, source } }: Row): string {
  if (!secret) return printable(value);
  return source === 'default' ? '' : '(a secret)';
}
