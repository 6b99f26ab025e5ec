import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** The packages whose folders are listed in docs/architecture.md. */
const PACKAGES = [
  'services/link-gateway',
  'services/topology',
  'services/volconf',
  'libs/dmsg',
  'libs/dmsg-socket',
  'libs/spantree',
  'libs/runtime',
];
/** The most files at the root of a `src`, without tests and fixtures. */
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

  it('has few files that are in no folder', () => {
    const loose = readdirSync(join(root, path, 'src')).filter((name) => /(?<!\.test|\.fixture)\.ts$/.test(name));
    expect(loose.length, loose.join(' ')).toBeLessThanOrEqual(MOST_LOOSE);
  });
});
