import { Failure } from '../failure.ts';
import { printable } from './printable.ts';
import { type Column, columnName } from './table.ts';

/** A column to sort by. */
export interface SortKey {
  /** The name that `columnName` gives the column. */
  readonly name: string;
  readonly isDescending: boolean;
}

/** Which rows and columns of tables are printed. */
export interface Selection {
  readonly sort: readonly SortKey[];
  /** Names of columns; null: the default ones. */
  readonly columns: readonly string[] | null;
  /** Most rows; 0: all. */
  readonly limit: number;
}

const NATURAL = new Intl.Collator('en', { numeric: true });

/**
 * Rows in the order of the keys, of which the first one counts most; equal rows keep their order. Without keys nothing
 * is sorted.
 * @throws Failure usage: there is no such column.
 */
export function sortRows<T>(columns: readonly Column<T>[], rows: readonly T[], keys: readonly SortKey[]): readonly T[] {
  if (keys.length === 0) return rows;
  const orders = keys.map(({ name, isDescending }) => {
    const { sortBy, text } = columnNamed(columns, name);
    return { key: sortBy ?? text, sign: isDescending ? -1 : 1 };
  });
  // Each value is computed once, not at each comparison.
  const keyed = rows.map((row) => ({ row, values: orders.map(({ key }) => key(row)) }));
  keyed.sort((a, b) => {
    for (const [i, { sign }] of orders.entries()) {
      const order = compare(a.values[i] ?? '', b.values[i] ?? '');
      if (order !== 0) return sign * order;
    }
    return 0;
  });
  return keyed.map(({ row }) => row);
}

function compare(a: number | bigint | string, b: number | bigint | string): number {
  if (typeof a === 'string' && typeof b === 'string') return NATURAL.compare(a, b);
  return a < b ? -1 : Number(a > b);
}

/**
 * The columns with these names, in this order; null: the default ones.
 * @throws Failure usage: there is no such column.
 */
export function selectColumns<T>(
  columns: readonly Column<T>[],
  names: readonly string[] | null,
  isWide: boolean,
): readonly Column<T>[] {
  if (names !== null) return names.map((name) => columnNamed(columns, name));
  return isWide ? columns : columns.filter((column) => column.isWide !== true);
}

function columnNamed<T>(columns: readonly Column<T>[], name: string): Column<T> {
  const found = columns.find((column) => columnName(column) === name);
  if (found !== undefined) return found;
  throw noColumn(name, columns.map(columnName));
}

/** One of several tables that are printed together. */
export interface Selectable<T> {
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
}

/**
 * The selected part of one of several tables: of the named columns those that it has, sorted by those of the keys that
 * it has. null: it has none of the columns.
 */
export function selectPart<T>(
  { columns, rows }: Selectable<T>,
  selection: Selection,
  isWide: boolean,
): Selectable<T> | null {
  const has = (name: string): boolean => columns.some((column) => columnName(column) === name);
  const names = selection.columns?.filter(has) ?? null;
  if (names?.length === 0) return null;
  const keys = selection.sort.filter(({ name }) => has(name));
  const sorted = sortRows(columns, rows, keys);
  return {
    columns: selectColumns(columns, names, isWide),
    rows: selection.limit === 0 ? sorted : sorted.slice(0, selection.limit),
  };
}

/** @throws Failure usage: a column is named that no table has. */
export function checkSelection(
  tables: readonly (readonly Pick<Column<never>, 'heading'>[])[],
  selection: Selection,
): void {
  const all = [...new Set(tables.flat().map(columnName))];
  for (const name of [...(selection.columns ?? []), ...selection.sort.map((key) => key.name)]) {
    if (!all.includes(name)) throw noColumn(name, all);
  }
}

function noColumn(name: string, all: readonly string[]): Failure {
  return new Failure('usage', `there is no column ${printable(name)}; there are ${all.join(', ')}`);
}
