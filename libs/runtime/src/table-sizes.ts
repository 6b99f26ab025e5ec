/**
 * Entries of tables at this moment, by name. The owner of a table counts it, beside where it is declared; tests ask at their end whether
 * something is left that nothing explains.
 */
export type TableSizes = Readonly<Record<string, number>>;

/** Why a table may have entries when all that filled it is gone: a sentence, or that it is forgotten later. */
export type Explained = Readonly<Record<string, string>>;

/** Tables that have entries and are not explained, as `name: entries`. */
export function leftIn(sizes: TableSizes, explained: Explained): string[] {
  return Object.entries(sizes)
    .filter(([name, size]) => size !== 0 && explained[name] === undefined)
    .map(([name, size]) => `${name}: ${size}`);
}
