import type { Paint, Role } from './paint.ts';

/** A column of a table of T. */
export interface Column<T> {
  readonly heading: string;
  /** Numbers are set right. */
  readonly align?: 'left' | 'right';
  /** The text of a row, escaped already. Empty is shown as a dash. */
  readonly text: (row: T) => string;
  /** The colour of a row's text. */
  readonly role?: (row: T) => Role | undefined;
}

const GAP = '  ';

/** Aligned columns under their headings, a line a row. */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], paint: Paint): string {
  const cells = rows.map((row) => columns.map((column) => column.text(row) || '-'));
  const widths = columns.map((column, i) =>
    cells.reduce((w, row) => Math.max(w, row[i]!.length), column.heading.length),
  );
  const line = (texts: readonly string[], role: (i: number) => Role | undefined): string => {
    const parts = texts.map((text, i) => {
      const right = columns[i]!.align === 'right';
      const space = ' '.repeat(widths[i]! - text.length);
      const shown = role(i) === undefined ? text : paint(role(i)!, text);
      // No spaces at the end of a line.
      if (right) return space + shown;
      return i === texts.length - 1 ? shown : shown + space;
    });
    return `${parts.join(GAP)}\n`;
  };
  let text = line(
    columns.map((column) => column.heading),
    () => 'heading',
  );
  rows.forEach((row, r) => {
    text += line(cells[r]!, (i) => columns[i]!.role?.(row));
  });
  return text;
}
