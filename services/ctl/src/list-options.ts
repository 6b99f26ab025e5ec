import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ApiOptions, addApiOptions, integer, parseTime, readApiOptions } from './api-options.ts';
import type { SortKey } from './output/select-rows.ts';
import type { Terminal } from './terminal.ts';

/** How a list is printed. */
export interface ListOptions extends ApiOptions {
  readonly sort: readonly SortKey[];
  /** Names of columns; null: those that are shown unless others are asked for. */
  readonly columns: readonly string[] | null;
  /** Most rows; 0: all. */
  readonly limit: number;
  /** Time from one look to the next, milliseconds; null: one look. */
  readonly watchMs: number | null;
}

interface RawListOptions {
  readonly sort?: readonly SortKey[];
  readonly columns?: readonly string[];
  readonly limit: number;
  readonly watch?: number | true;
}

/** Most rows that can be asked for. */
const MOST_ROWS = 1_000_000;
const DEFAULT_WATCH_MS = 2000;

/** Declares what every list has, ApiOptions included. */
export function addListOptions(command: Command): Command {
  return addApiOptions(command, ['text', 'wide', 'json', 'yaml'])
    .addOption(
      new Option('--sort <columns>', 'sort by these columns, comma-separated; -column: the greatest first').argParser(
        parseSort,
      ),
    )
    .addOption(
      new Option('--columns <columns>', 'show these columns only, comma-separated, by their headings').argParser(
        parseNames,
      ),
    )
    .addOption(new Option('--limit <n>', 'most rows; 0: all').default(0).argParser(integer(0, MOST_ROWS)))
    .addOption(
      new Option(
        '--watch [time]',
        'look again after this time (default: 2s), until interrupted: in place on a terminal, otherwise whenever it has changed',
      ).argParser(parseTime),
    );
}

/**
 * Reads them.
 * @throws Failure usage, as readApiOptions
 */
export function readListOptions(command: Command, terminal: Terminal): ListOptions {
  const { sort = [], columns, limit, watch } = command.opts<RawListOptions>();
  return {
    ...readApiOptions(command, terminal),
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

function parseSort(text: string): readonly SortKey[] {
  return parseNames(text).map((name) => ({ name: name.replace(/^-/, ''), isDescending: name.startsWith('-') }));
}
