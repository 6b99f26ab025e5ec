import type { TableOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';
import { isDocument } from './document.ts';
import type { Paint } from './paint.ts';
import { printView, type Room, type ViewWatch } from './print-view.ts';
import { selectColumns, sortRows } from './select-rows.ts';
import { type Column, columnName, renderTable } from './table.ts';

/** The rows that one request has found. */
export interface Listed<T> {
  readonly rows: readonly T[];
  /** Lines about the rows, for people: what is missing. */
  readonly notes?: readonly string[];
  /** One document of the given rows, in their order. */
  document(rows: readonly T[]): unknown;
}

/** One kind of list. */
export interface List<T> {
  /** All columns that the list has, in their order. */
  readonly columns: readonly Column<T>[];
  /** Fetches the rows. `needs`: whether a column is shown or sorted by, for columns that cost a further request. */
  fetch(needs: (column: Column<T>) => boolean): Promise<Listed<T>>;
}

/**
 * Prints a list as the options say: once, or with `--watch` again and again, until interrupted.
 * @throws Failure
 */
export async function printList<T>(
  list: List<T>,
  options: TableOptions,
  terminal: Terminal,
  watch?: ViewWatch,
): Promise<void> {
  // The arguments are checked before the API is called.
  const shown = selectColumns(list.columns, options.columns, options.output === 'wide');
  sortRows(list.columns, [], options.sort);
  const sortedBy = new Set(options.sort.map(({ name }) => name));
  const isTable = !isDocument(options.output);
  const needs = (column: Column<T>): boolean => sortedBy.has(columnName(column)) || (isTable && shown.includes(column));
  const look = async () => {
    const { document, notes, rows: all } = await list.fetch(needs);
    const sorted = sortRows(list.columns, all, options.sort);
    const rows = options.limit === 0 ? sorted : sorted.slice(0, options.limit);
    return {
      ...(notes !== undefined && { notes }),
      text: (paint: Paint, room: Room) => tableThatFits(shown, rows, paint, room),
      document: () => document(rows),
    };
  };
  await printView(look, options, terminal, watch);
}

/** The rows that fit; the last line says how many more there are. */
function tableThatFits<T>(
  shown: readonly Column<T>[],
  rows: readonly T[],
  paint: Paint,
  { width, lines }: Room,
): string {
  // Lines left below the headings.
  const room = Math.max(1, lines - 1);
  if (rows.length <= room) return renderTable(shown, rows, paint, width);
  const table = renderTable(shown, rows.slice(0, room - 1), paint, width);
  return `${table}${paint('faint', `and ${rows.length - room + 1} more`)}\n`;
}
