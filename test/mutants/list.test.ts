import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EQUIVALENTS } from './equivalents.ts';
import { MUTANTS } from './list.ts';
import { type Mutant, MutantError, mutated } from './mutant.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, ROOT), 'utf8');

describe('the breaks', () => {
  it.each(MUTANTS)('$rule: its text is in $file once', (mutant) => {
    const source = read(mutant.file);
    expect(mutated(source, mutant)).not.toBe(source);
    if (mutant.noticedBy.kind === 'test') read(mutant.noticedBy.file);
  });

  it('are at least twenty, and all different', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(20);
    expect(new Set(MUTANTS.map(({ file, replace }) => `${file} ${replace}`)).size).toBe(MUTANTS.length);
  });

  it('are refused where their text is missing, or found twice', () => {
    const mutant: Mutant = { ...MUTANTS[0]!, find: 'a', replace: 'b' };
    expect(mutated('xax', mutant)).toBe('xbx');
    expect(() => mutated('xx', mutant)).toThrow(MutantError);
    expect(() => mutated('aa', mutant)).toThrow(MutantError);
  });
});

it('changes that no test could notice are of lines that are there', () => {
  const lines = new Map<string, Set<string>>();
  const linesOf = (file: string) => {
    const known =
      lines.get(file) ??
      new Set(
        read(file)
          .split('\n')
          .map((line) => line.trim()),
      );
    lines.set(file, known);
    return known;
  };
  expect(EQUIVALENTS.filter(({ file, line }) => !linesOf(file).has(line))).toEqual([]);
});
