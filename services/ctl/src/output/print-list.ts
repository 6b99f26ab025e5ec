import { setTimeout as wait } from 'node:timers/promises';
import { interruption } from '../interruption.ts';
import type { ListOptions } from '../list-options.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { isDocument, writeDocument, writeDocumentOfStream } from './document.ts';
import { paintFor } from './paint.ts';
import { isTerminal, Screen, widthOf } from './screen.ts';
import { selectColumns, sortRows } from './select-rows.ts';
import { type Column, columnName, renderTable } from './table.ts';

/** What there is at a moment. */
export interface Listed<T> {
  readonly rows: readonly T[];
  /** Lines about it for people: what is missing from it. */
  readonly notes?: readonly string[];
  /** The same as one document; of the rows that are given, in their order. */
  document(rows: readonly T[]): unknown;
}

/** One kind of list. */
export interface List<T> {
  /** All that there are, in their order. */
  readonly columns: readonly Column<T>[];
  /** Looks. `needs`: whether a column is shown or sorted by, where that costs a question more. */
  fetch(needs: (column: Column<T>) => boolean): Promise<Listed<T>>;
}

/** For tests: what `--watch` waits with and is ended by. */
export interface ListWatch {
  readonly signal: AbortSignal;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Prints a list as the options say: once, or with `--watch` again and again, until interrupted.
 * @throws Failure
 */
export async function printList<T>(
  list: List<T>,
  options: ListOptions,
  terminal: Terminal,
  watch?: ListWatch,
): Promise<void> {
  // What was typed is looked at before anybody is asked.
  const shown = selectColumns(list.columns, options.columns, options.output === 'wide');
  sortRows(list.columns, [], options.sort);
  const sortedBy = new Set(options.sort.map(({ name }) => name));
  const isTable = !isDocument(options.output);
  const needs = (column: Column<T>): boolean => sortedBy.has(columnName(column)) || (isTable && shown.includes(column));
  const look = async (): Promise<Look<T>> => {
    const listed = await list.fetch(needs);
    const sorted = sortRows(list.columns, listed.rows, options.sort);
    const rows = options.limit === 0 ? sorted : sorted.slice(0, options.limit);
    return { ...listed, rows, document: () => listed.document(rows) };
  };
  const printing: Printing<T> = { shown, options, terminal };
  if (options.watchMs === null) {
    await printOnce(await look(), printing);
    return;
  }
  const { watchMs } = options;
  const run = (signal: AbortSignal): Promise<void> =>
    watchList(look, printing, { watchMs, signal, pause: watch?.pause ?? pauseFor });
  await (watch === undefined ? interruption(run) : run(watch.signal));
}

interface Look<T> extends Omit<Listed<T>, 'document'> {
  document(): unknown;
}

interface Printing<T> {
  readonly shown: readonly Column<T>[];
  readonly options: ListOptions;
  readonly terminal: Terminal;
}

async function printOnce<T>(
  { rows, notes = [], document }: Look<T>,
  { shown, options, terminal }: Printing<T>,
): Promise<void> {
  if (isDocument(options.output)) {
    await writeDocument(options.output, terminal.out, document());
    return;
  }
  for (const line of notes) note(terminal, line);
  await write(terminal.out, renderTable(shown, rows, paintFor(terminal.out), roomFor(options, terminal)));
}

/** A wide table is as wide as it is. */
function roomFor({ output }: ListOptions, { out }: Terminal): number {
  return output === 'wide' ? Number.POSITIVE_INFINITY : widthOf(out);
}

async function watchList<T>(
  look: () => Promise<Look<T>>,
  printing: Printing<T>,
  { watchMs, signal, pause }: ListWatch & { readonly watchMs: number },
): Promise<void> {
  const { terminal, options } = printing;
  // Before anything is changed on the terminal: what fails at once is a line like any other.
  let looked = await look();
  const screen = !isDocument(options.output) && isTerminal(terminal.out) ? new Screen(terminal.out) : null;
  await screen?.begin();
  try {
    for (let before: string | null = null; !signal.aborted; ) {
      before = await (screen === null ? printChanged(looked, printing, before) : showInPlace(looked, printing, screen));
      try {
        await pause(watchMs, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      if (!signal.aborted) looked = await look();
    }
  } finally {
    await screen?.end();
  }
}

/** The rows that fit; the last line says how many more there are. */
async function showInPlace<T>(
  { rows, notes = [] }: Look<T>,
  { shown, options, terminal }: Printing<T>,
  screen: Screen,
): Promise<null> {
  const paint = paintFor(terminal.out);
  const above = notes.map((line) => paint('warn', line));
  const room = Math.max(1, screen.rows - above.length - 1);
  const fits = rows.length <= room;
  const table = renderTable(shown, fits ? rows : rows.slice(0, room - 1), paint, roomFor(options, terminal)).trimEnd();
  const more = fits ? [] : [paint('faint', `and ${rows.length - room + 1} more`)];
  await screen.show([...above, table, ...more].join('\n'));
  return null;
}

/** What is the same as before is not printed again. `before`: what this gave the last time. */
async function printChanged<T>(
  { rows, notes = [], document }: Look<T>,
  { shown, options, terminal }: Printing<T>,
  before: string | null,
): Promise<string> {
  const { output } = options;
  const whole = isDocument(output) ? document() : null;
  const text = isDocument(output) ? JSON.stringify(whole) : renderTable(shown, rows, paintFor(terminal.out));
  if (text === before) return text;
  if (isDocument(output)) {
    await writeDocumentOfStream(output, terminal.out, whole);
    return text;
  }
  for (const line of notes) note(terminal, line);
  await write(terminal.out, before === null ? text : `\n${text}`);
  return text;
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, undefined, { signal });
}
