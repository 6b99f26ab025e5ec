import { Failure } from '../failure.ts';
import { type Column, columnName } from './table.ts';

/** A column to sort by. */
export interface SortKey {
  /** As `columnName` gives it. */
  readonly name: string;
  readonly isDescending: boolean;
}

const NATURAL = new Intl.Collator('en', { numeric: true });

/**
 * Rows in the order of the keys, the first one first; equal ones stay as they are. No key: all stay.
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
 * The columns with these names, in this order; null: those that are shown unless others are asked for.
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
  throw new Failure('usage', `there is no column ${name}; there are ${columns.map(columnName).join(', ')}`);
}
