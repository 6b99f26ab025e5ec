import { describe, expect, it } from 'vitest';
import { plain } from './paint.ts';
import { type Column, renderTable } from './table.ts';

const COLUMNS: readonly Column<readonly [string, number]>[] = [
  { heading: 'NAME', text: ([name]) => name, role: ([, n]) => (n > 1 ? 'warn' : undefined) },
  { heading: 'N', align: 'right', text: ([, n]) => String(n) },
  { heading: 'LAST', text: ([name]) => name },
];

it('aligns columns and leaves no spaces at the end of lines', () => {
  const rows = [
    ['a', 1],
    ['longer', 1234],
    ['', 5],
  ] as const;
  expect(renderTable(COLUMNS, rows, plain)).toBe(
    ['NAME       N  LAST', 'a          1  a', 'longer  1234  longer', '-          5  -', ''].join('\n'),
  );
});

it('has its headings when there are no rows', () => {
  expect(renderTable(COLUMNS, [], plain)).toBe('NAME  N  LAST\n');
});

it('does not change the layout by colours', () => {
  const painted = renderTable(COLUMNS, [['b', 2]], (role, text) => `<${role}>${text}</>`);
  expect(painted).toBe('<heading>NAME</>  <heading>N</>  <heading>LAST</>\n<warn>b</>     2  b\n');
});

describe('on a narrow terminal', () => {
  interface Row {
    readonly id: string;
    readonly size: number;
    readonly label: string;
  }
  const COLUMNS: readonly Column<Row>[] = [
    { heading: 'ID', text: ({ id }) => id },
    { heading: 'SIZE', align: 'right', narrow: 'omit', text: ({ size }) => String(size) },
    { heading: 'LABEL', narrow: 'cut', text: ({ label }) => label },
  ];
  const rows = [{ id: '12345678', size: 1000, label: 'a label that is long' }];
  const lines = (width: number) => renderTable(COLUMNS, rows, plain, width).trimEnd().split('\n');

  it('cuts columns first, then leaves some out, and never cuts what is to be copied', () => {
    expect(lines(36)).toEqual(['ID        SIZE  LABEL', '12345678  1000  a label that is long']);
    expect(lines(30)).toEqual(['ID        SIZE  LABEL', '12345678  1000  a label that …']);
    expect(lines(27)).toEqual(['ID        LABEL           …', '12345678  a label that i…']);
    expect(lines(3)).toEqual(['ID        LABEL        …', '12345678  a label tha…']);
  });

  it('counts the columns that a character takes on the terminal', () => {
    const wide = renderTable(COLUMNS, [{ id: '東京', size: 1, label: 'x' }], plain);
    expect(wide).toBe('ID    SIZE  LABEL\n東京     1  x\n');
    const cut = renderTable(COLUMNS.slice(2), [{ id: '', size: 1, label: '東京東京東京東京' }], plain, 12);
    expect(cut).toBe('LABEL\n東京東京東…\n');
  });
});
