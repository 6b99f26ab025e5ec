import { expect, it } from 'vitest';
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

it('has its headings when there is nothing to show', () => {
  expect(renderTable(COLUMNS, [], plain)).toBe('NAME  N  LAST\n');
});

it('colours without moving anything', () => {
  const painted = renderTable(COLUMNS, [['b', 2]], (role, text) => `<${role}>${text}</>`);
  expect(painted).toBe('<heading>NAME</>  <heading>N</>  <heading>LAST</>\n<warn>b</>     2  b\n');
});
