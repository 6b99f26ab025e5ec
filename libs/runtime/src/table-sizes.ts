/**
 * Numbers of entries in tables, by name. The owner of a table counts it, beside its declaration; tests check at their
 * end that no table has entries without an explanation.
 */
export type TableSizes = Readonly<Record<string, number>>;

/**
 * Why a table may still have entries after all that filled it is gone: a sentence for each, such as that it is cleared
 * later.
 */
export type Explained = Readonly<Record<string, string>>;

/** Tables that have entries and are not explained, as `name: entries`. */
export function leftIn(sizes: TableSizes, explained: Explained): string[] {
  return Object.entries(sizes)
    .filter(([name, size]) => size !== 0 && explained[name] === undefined)
    .map(([name, size]) => `${name}: ${size}`);
}
