import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** Packages whose folders docs/architecture.md lists. */
const PACKAGES = [
  'services/link-gateway',
  'services/topology',
  'services/volconf',
  'libs/dmsg',
  'libs/dmsg-socket',
  'libs/spantree',
  'libs/runtime',
];
/** Files at the root of a `src`, tests and what they share left out. */
const MOST_LOOSE = 12;
const ROW = /^\| `((?:services|libs)\/[^`]+\/src\/[^`]+)` \| .+ \|$/gm;

const documented = [...readFileSync(join(root, 'docs/architecture.md'), 'utf8').matchAll(ROW)].map(
  ([, folder]) => folder!,
);

describe.each(PACKAGES)('%s', (path) => {
  const entries = readdirSync(join(root, path, 'src'), { recursive: true, withFileTypes: true });

  it('has the folders that docs/architecture.md lists', () => {
    const folders = entries
      .filter((entry) => entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1));
    expect(documented.filter((folder) => folder.startsWith(`${path}/`)).toSorted()).toEqual(folders.toSorted());
  });

  it('has few files that are in none', () => {
    const loose = readdirSync(join(root, path, 'src')).filter((name) => /(?<!\.test|\.fixture)\.ts$/.test(name));
    expect(loose.length, loose.join(' ')).toBeLessThanOrEqual(MOST_LOOSE);
  });
});
