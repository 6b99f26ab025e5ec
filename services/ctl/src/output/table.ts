import stringWidth from 'string-width';
import type { Paint, Role } from './paint.ts';

/** A column of a table of T, declared once: what it is called, shows, is sorted by, and does where there is little room. */
export interface Column<T> {
  /** Also its name, in small letters: `--columns`, `--sort`. */
  readonly heading: string;
  /** Numbers are set right. */
  readonly align?: 'left' | 'right';
  /** The text of a row, escaped already. Empty is shown as a dash. */
  readonly text: (row: T) => string;
  /** The colour of a row's text. */
  readonly role?: (row: T) => Role | undefined;
  /** In wide tables only, and where it is asked for by its name. */
  readonly isWide?: boolean;
  /** Where the terminal is too narrow: cut with an ellipsis, or left out, the last one first. Otherwise it stays as it is. */
  readonly narrow?: 'cut' | 'omit';
  /** What rows are sorted by; otherwise the text, numbers in it by their value. */
  readonly sortBy?: (row: T) => number | bigint | string;
}

const GAP = '  ';
const ELLIPSIS = '…';
/** Least width of a column that is cut, in characters, if its heading is no longer. */
const CUT_WIDTH = 12;

/** What a column is called on the command line: `LNK_CONNS` is `lnk_conns`, `WANTED BY` is `wanted-by`. */
export function columnName({ heading }: Pick<Column<never>, 'heading'>): string {
  return heading.toLowerCase().replaceAll(' ', '-');
}

/** A column as it is laid out. */
interface Laid<T> {
  readonly column: Column<T>;
  readonly cells: readonly string[];
  width: number;
}

/** Aligned columns under their headings, a line a row. `width`: of the terminal; unless given, there is room for everything. */
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
 * Makes columns fit: first the ones that may be cut give way, then columns are left out. A column that fits in no way keeps its width:
 * an id that is cut cannot be copied.
 */
function fitted<T>(all: readonly Laid<T>[], room: number): { laid: Laid<T>[]; omitted: boolean } {
  const laid = [...all];
  // A mark in the heading says that columns are missing.
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

// Most cells are like this.
const ASCII = /^[ -~]*$/;

/** Columns of a terminal: 2 for 東, 0 for what is put over the character before it. */
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
