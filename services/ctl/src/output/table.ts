import stringWidth from 'string-width';
import type { Paint, Role } from './paint.ts';

/**
 * A column of a table of T, declared once: its heading, its text, its order, and how it gives way on a narrow terminal.
 */
export interface Column<T> {
  /** The heading; in small letters it is also the name for `--columns` and `--sort`. */
  readonly heading: string;
  /** Numbers are aligned right. */
  readonly align?: 'left' | 'right';
  /** The text of a row, escaped already. Empty is shown as a dash. */
  readonly text: (row: T) => string;
  /** The colour of a row's text. */
  readonly role?: (row: T) => Role | undefined;
  /** Shown only in wide tables, and where its name is asked for. */
  readonly isWide?: boolean;
  /**
   * How it gives way on a terminal that is too narrow: cut with an ellipsis, or left out (the last column first).
   * Default: it keeps its width.
   */
  readonly narrow?: 'cut' | 'omit';
  /** The value that rows are sorted by; default: the text, with numbers in it compared by their value. */
  readonly sortBy?: (row: T) => number | bigint | string;
}

const GAP = '  ';
const ELLIPSIS = '…';
/** A column is cut to no fewer characters than this, or than its heading has if that is longer. */
const CUT_WIDTH = 12;

/** What a column is called on the command line: `LNK_CONNS` is `lnk_conns`, `WANTED BY` is `wanted-by`. */
export function columnName({ heading }: Pick<Column<never>, 'heading'>): string {
  return heading.toLowerCase().replaceAll(' ', '-');
}

/** A column with the texts and the width that it will have. */
interface Laid<T> {
  readonly column: Column<T>;
  readonly cells: readonly string[];
  width: number;
}

/** Aligned columns under their headings, a line for each row. `width`: of the terminal; default: unlimited. */
export function renderTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  paint: Paint,
  width = Number.POSITIVE_INFINITY,
): string {
  const { laid, omitted } = fitted(
    columns.map((column) => {
      const cells = rows.map((row) => column.text(row) || '-');
      return {
        column,
        cells,
        width: cells.reduce((most, cell) => Math.max(most, widthOf(cell)), column.heading.length),
      };
    }),
    width,
  );
  const line = (textOf: (laid: Laid<T>) => string, role: (column: Column<T>) => Role | undefined, end = ''): string => {
    const parts = laid.map((one, i) => {
      const text = cut(textOf(one), one.width);
      const space = ' '.repeat(one.width - widthOf(text));
      const painted = role(one.column);
      const shown = painted === undefined ? text : paint(painted, text);
      // No spaces at the end of a line.
      if (one.column.align === 'right') return space + shown;
      return i === laid.length - 1 && end === '' ? shown : shown + space;
    });
    return `${parts.join(GAP)}${end}\n`;
  };
  let text = line(
    ({ column }) => column.heading,
    () => 'heading',
    omitted ? ` ${ELLIPSIS}` : '',
  );
  rows.forEach((row, r) => {
    text += line(
      ({ cells }) => cells[r] ?? '',
      (column) => column.role?.(row),
    );
  });
  return text;
}

/**
 * Makes columns fit the terminal: first those that may be cut are cut, then some are left out. A column that may not
 * give way keeps its width: a shortened id could not be copied.
 */
function fitted<T>(all: readonly Laid<T>[], room: number): { laid: Laid<T>[]; omitted: boolean } {
  const laid = [...all];
  // A mark in the heading, of two characters, says that columns are missing.
  const missing = (): number => totalOf(laid) + (laid.length < all.length ? 2 : 0) - room;
  const least = ({ column, width }: Laid<T>): number =>
    column.narrow === 'cut' ? Math.min(width, Math.max(CUT_WIDTH, column.heading.length)) : width;
  const spare = (): number => laid.reduce((sum, one) => sum + one.width - least(one), 0);
  while (missing() > spare()) {
    const last = laid.findLastIndex(({ column }) => column.narrow === 'omit');
    if (last < 0) break;
    laid.splice(last, 1);
  }
  for (let over = missing(); over > 0; ) {
    const [widest] = laid.filter((one) => one.width > least(one)).sort((a, b) => b.width - a.width);
    if (widest === undefined) break;
    const less = Math.min(over, widest.width - least(widest));
    widest.width -= less;
    over -= less;
  }
  return { laid, omitted: laid.length < all.length };
}

function totalOf(laid: readonly Laid<never>[]): number {
  return laid.reduce((sum, { width }) => sum + width, GAP.length * Math.max(0, laid.length - 1));
}

// Most cells are ASCII, whose width needs no look at each character.
const ASCII = /^[ -~]*$/;

/** Columns that a text takes on the terminal: 2 for 東, 0 for a combining character. */
function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (widthOf(kept + segment) > width - 1) break;
    kept += segment;
  }
  return kept + ELLIPSIS;
}
