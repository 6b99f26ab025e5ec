import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { useWindow } from './use-window.ts';

/** A row's height, px; the same in style.css. */
export const ROW_PX = 32;

export interface Column<T> {
  readonly heading: string;
  readonly cell: (row: T) => ComponentChildren;
  /** The value by which the column is sorted; without one it cannot be. */
  readonly sort?: (row: T) => string | number | bigint;
  readonly isNumber?: boolean;
  /** Stays visible at the right edge: the actions for a row. */
  readonly isAct?: boolean;
}

interface TableProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly isFresh?: (row: T) => boolean;
  readonly empty: string;
}

/** A table that draws only the visible rows, however many there are. */
export function Table<T>({ label, columns, rows, keyOf, isFresh = () => false, empty }: TableProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [order, setOrder] = useState<{ readonly column: number; readonly isDown: boolean } | null>(null);
  const sorted = order === null ? rows : sortedBy(rows, columns[order.column]?.sort, order.isDown);
  const [first, end] = useWindow(box, sorted.length, ROW_PX);
  if (rows.length === 0) return <p class="hint">{empty}</p>;
  return (
    <section class="scroll" ref={box} tabIndex={0} aria-label={label}>
      <table aria-rowcount={sorted.length + 1} aria-label={label}>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map(({ heading, sort, ...column }, i) => (
              <th
                key={heading}
                scope="col"
                class={classOf(column)}
                aria-sort={order?.column === i ? (order.isDown ? 'descending' : 'ascending') : undefined}
              >
                {sort === undefined ? (
                  heading
                ) : (
                  <button type="button" class="sort" onClick={() => setOrder(next(order, i))}>
                    {heading}
                    <span aria-hidden="true">{order?.column === i ? (order.isDown ? ' ▼' : ' ▲') : ''}</span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true" style={{ height: `${first * ROW_PX}px` }} />}
          {sorted.slice(first, end).map((row, i) => (
            <tr key={keyOf(row)} aria-rowindex={first + i + 2} class={isFresh(row) ? 'fresh' : ''}>
              {columns.map(({ heading, cell, ...column }) => (
                <td key={heading} class={classOf(column)}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {end < sorted.length && <tr aria-hidden="true" style={{ height: `${(sorted.length - end) * ROW_PX}px` }} />}
        </tbody>
      </table>
    </section>
  );
}

function classOf({ isNumber = false, isAct = false }: Pick<Column<never>, 'isNumber' | 'isAct'>): string {
  return isNumber ? 'number' : isAct ? 'act' : '';
}

function next(order: { column: number; isDown: boolean } | null, column: number) {
  if (order?.column !== column) return { column, isDown: false };
  return order.isDown ? null : { column, isDown: true };
}

function sortedBy<T>(
  rows: readonly T[],
  sort: ((row: T) => string | number | bigint) | undefined,
  isDown: boolean,
): readonly T[] {
  if (sort === undefined) return rows;
  const sign = isDown ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [sort(a), sort(b)];
    return x === y ? 0 : x < y ? -sign : sign;
  });
}
