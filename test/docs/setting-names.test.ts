import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isKnownSetting, lettersApart } from '@spanmesh/runtime/settings/unknown-settings';
import { expect, it } from 'vitest';
import { settingNames } from './tables.ts';

const root = join(import.meta.dirname, '../..');

it('no two settings of any services are so alike that it is in doubt which of them was meant', () => {
  const names = settingNames();
  expect(names.length).toBeGreaterThan(50);
  const alike = names.flatMap((a, i) =>
    names
      .slice(i + 1)
      .filter((b) => lettersApart(a, b) <= 2)
      .map((b) => `${a} ${b}`),
  );
  expect(alike).toEqual([]);
});

it('every variable that the product reads or writes anywhere is known to each process', () => {
  const files = execFileSync('git', ['-C', root, 'ls-files', 'services', 'libs', 'deploy', 'docker-compose.yml'], {
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
    .filter((file) => !/\.(test|fixture)\.ts$|\/testing\//.test(file));
  const unknown = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'latin1').matchAll(/\bSPANMESH_[A-Z0-9_]*[A-Z0-9]\b(?!_)/g)]
      .map(([name]) => name)
      .filter((name) => !isKnownSetting(name))
      .map((name) => `${file}: ${name}`),
  );
  expect([...new Set(unknown)]).toEqual([]);
});
