import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const CLASS = /^(?:export )?class (\w+)(?:<.*>)? extends \w*Error\b/gm;

/** Packages with one class of errors for each room; all others have one class in all. */
const BY_ROOM = ['libs/runtime', 'services/topology', 'services/volconf'];

/** Names of error classes by folder, except those for tests. */
function errors(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const files = globSync('{libs,services}/*/{src,web/src}/**/*.ts', {
    cwd: root,
    exclude: (path) => path.includes('node_modules'),
  });
  for (const file of files) {
    if (/\.(test|fixture)\.ts$/.test(file)) continue;
    for (const [, name = ''] of readFileSync(join(root, file), 'utf8').matchAll(CLASS)) {
      const folder = dirname(file);
      found.set(folder, [...(found.get(folder) ?? []), name]);
    }
  }
  return found;
}

// CONTRIBUTING.md, "Habits".
it('a room has one class of errors, whose code says what is wrong', () => {
  for (const [folder, names] of errors()) expect(names, folder).toHaveLength(1);
});

it('a package has one class of errors, unless callers of its rooms catch different ones', () => {
  const byPackage = Map.groupBy(errors(), ([folder]) => folder.split('/', 2).join('/'));
  for (const [name, rooms] of byPackage) {
    if (!BY_ROOM.includes(name)) expect(rooms.length, `${name}: ${rooms.join(' ')}`).toBe(1);
  }
});

it('no two classes of errors have the same name', () => {
  const names = [...errors().values()].flat();
  expect(new Set(names).size, names.toSorted().join(' ')).toBe(names.length);
  expect(names.length).toBeGreaterThan(10);
});
