/** Prints rows as an aligned table; the first row is the heading. Numbers are aligned to the right. */
export function printTable(title: string, rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  console.log(`\n${title}`);
  for (const [n, row] of rows.entries()) {
    console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '));
    if (n === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  }
}

/** 1234567 → `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A ratio, `3.2 ×`. */
export function ratio(value: number): string {
  return `${value.toFixed(1)} ×`;
}
