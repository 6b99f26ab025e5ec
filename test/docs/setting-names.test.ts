import { lettersApart, MISSPELT_LETTERS } from '@spanmesh/runtime/settings/misspelt-settings';
import { expect, it } from 'vitest';
import { settingNames } from './tables.ts';

it('no two settings of any services are so alike that one would be taken for the other, misspelt', () => {
  const names = settingNames();
  expect(names.length).toBeGreaterThan(50);
  const alike = names.flatMap((a, i) =>
    names
      .slice(i + 1)
      .filter((b) => lettersApart(a, b) <= MISSPELT_LETTERS)
      .map((b) => `${a} ${b}`),
  );
  expect(alike).toEqual([]);
});
