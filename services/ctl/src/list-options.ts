import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type ApiOptions,
  addApiOptions,
  addOutputOption,
  integer,
  OUTPUT_GROUP,
  type OutputFormat,
  parseTime,
  readApiOptions,
} from './api-options.ts';
import type { Selection, SortKey } from './output/select-rows.ts';
import type { Terminal } from './terminal.ts';

/** The options of output that can be refreshed with --watch. */
export interface ViewOptions {
  readonly output: OutputFormat;
  /** Time between two requests, milliseconds; null: only one request. */
  readonly watchMs: number | null;
}

/** The options of tables. */
export interface TableOptions extends ViewOptions, Selection {}

/** The options of lists that come from the API. */
export interface ListOptions extends ApiOptions, TableOptions {}

interface RawTableOptions {
  readonly sort?: readonly SortKey[];
  readonly columns?: readonly string[];
  readonly limit: number;
  readonly watch?: number | true;
  readonly output: OutputFormat;
}

/** Most rows that can be asked for. */
const MOST_ROWS = 1_000_000;
const DEFAULT_WATCH_MS = 2000;
/** Formats for output that consists of tables. */
export const TABLE_FORMATS: readonly OutputFormat[] = ['text', 'wide', 'json', 'yaml'];

/** Declares the options of every list, ApiOptions included. */
export function addListOptions(command: Command): Command {
  return addTableOptions(addApiOptions(command, TABLE_FORMATS));
}

/** Declares the options of a list that is made without a call. */
export function addLocalListOptions(command: Command): Command {
  return addTableOptions(addOutputOption(command, TABLE_FORMATS));
}

function addTableOptions(command: Command): Command {
  const sort = new Option('--sort <columns>', 'sort by these columns, comma-separated; -column: the greatest first');
  const watch = new Option(
    '--watch [time]',
    'look again after this time (default: 2s), until interrupted: in place on a terminal, otherwise whenever it has changed',
  );
  return addSelection(command, sort.argParser(parseSort)).addOption(watch.argParser(parseTime).helpGroup(OUTPUT_GROUP));
}

/** Declares --columns and --limit, and `sort`, which differs from command to command. */
export function addSelection(command: Command, sort: Option): Command {
  const columns = new Option('--columns <columns>', 'show these columns only, comma-separated, by their headings');
  const limit = new Option('--limit <n>', 'most rows; 0: all').default(0);
  for (const option of [sort, columns.argParser(parseNames), limit.argParser(integer(0, MOST_ROWS))]) {
    command.addOption(option.helpGroup(OUTPUT_GROUP));
  }
  return command;
}

/**
 * Reads the options of a list.
 * @throws Failure usage, as readApiOptions
 */
export function readListOptions(command: Command, terminal: Terminal): ListOptions {
  return { ...readApiOptions(command, terminal), ...readTableOptions(command) };
}

export function readTableOptions(command: Command): TableOptions {
  const { sort = [], columns, limit, watch, output } = command.opts<RawTableOptions>();
  return {
    output,
    sort,
    columns: columns ?? null,
    limit,
    watchMs: watch === undefined ? null : watch === true ? DEFAULT_WATCH_MS : watch,
  };
}

function parseNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase().replaceAll(' ', '-'));
  if (names.includes('')) throw new InvalidArgumentError('Expected names of columns, like node,label.');
  return names;
}

/** Reads sort keys such as `-relays,link`. @throws InvalidArgumentError */
export function parseSort(text: string): readonly SortKey[] {
  return parseNames(text).map((name) => ({ name: name.replace(/^-/, ''), isDescending: name.startsWith('-') }));
}
